"""Every error that Ironwok raises on purpose.

The tree, so that a caller can choose how finely to catch::

    IronwokError
    ├── InputError (ValueError)          an argument or a text is not usable
    │   ├── LabelError                   candidate labels: none, one, duplicates, blank
    │   ├── TemplateError                a template without its place for the label
    │   └── TextTooLongError             a text over the model's limit where windowing is off
    ├── ConfigError (ValueError)         a model or run configuration contradicts itself
    ├── MaskError (ValueError)           an attention mask of the wrong dtype or shape
    ├── RecipeError (ValueError)         a recipe file: unknown key, wrong type, missing value
    ├── SchemaError (ValueError)         a schema of events, entities and relations
    │   └── SchemaChangedError           a model or run was made with another schema
    ├── DataError                        training or evaluation data
    │   └── AnnotationError              a file of annotated texts, or a format of one, is not usable
    ├── DocumentError                    a document on disk
    │   ├── UnreadableDocumentError      not there, no permission, binary, damaged
    │   │   └── EmptyDocumentError       there, but without any text
    │   ├── EncodingError                bytes that are no text in any likely encoding
    │   ├── UnsupportedFormatError       a suffix nobody reads
    │   └── NoDocumentsError             a folder or a glob with nothing to read
    ├── ModelError
    │   ├── ModelNotFoundError           no such bundled name, folder or hub id
    │   ├── CheckpointError              a corrupt or foreign checkpoint
    │   │   └── DamagedCheckpointError   a checkpoint of a run that is not as it was written
    │   ├── MissingHeadError             the model lacks the head that the task needs
    │   └── SelfCheckError               the model cannot tell consecutive from shuffled sentences
    ├── HomeError                        home: a device, a way to it, or what was asked of it
    │   ├── WayError                     a way out did not work: no answer, refused, not there
    │   ├── MainsHeldError               the mains were not cut, because it was not proven to be safe
    │   └── RoomTakenError               another program acts for this room
    ├── ScaleError                       a job on several machines cannot go on: workers die, or nearly all rows fail
    ├── OutputError (OSError)            results cannot be written (full disk, no permission)
    └── MissingExtraError (ImportError)  an optional dependency is not installed

Warnings, raised through ``warnings.warn``, for what goes on but ought to be known::

    IronwokWarning (UserWarning)
    ├── SelfCheckWarning                 a next-sentence model answers at random
    ├── LongTextWarning                  texts were longer than the model takes, and what became of them
    ├── DataWarning                      training data that is not used, and why
    ├── DecodingWarning                  scores that make no sense were decoded up to a bound
    ├── LanguageWarning                  text in a language that the model hardly knows
    ├── SlowWarning                      what was asked for takes much longer here than something as good
    └── CheckpointWarning                a damaged checkpoint is passed over for an earlier one

Messages name the value, the bound and the way out. Anything else that escapes is a bug of ours.
"""

from __future__ import annotations


class IronwokError(Exception):
    """Base of all errors raised on purpose."""


class InputError(IronwokError, ValueError):
    """An argument or a text cannot be used as given."""


class LabelError(InputError):
    """Candidate labels are missing, blank, duplicated or too few."""


class TemplateError(InputError):
    """A hypothesis template has no place for the label."""


class TextTooLongError(InputError):
    """A text exceeds the model's limit and windowing was not asked for."""


class ConfigError(IronwokError, ValueError):
    """A configuration contradicts itself."""


class MaskError(IronwokError, ValueError):
    """An attention mask has the wrong dtype or shape."""


class RecipeError(IronwokError, ValueError):
    """A recipe file has an unknown key, a wrong type or a missing value."""


class SchemaError(IronwokError, ValueError):
    """A schema has an unknown key, a duplicate or a contradiction, or does not know a name."""


class SchemaChangedError(SchemaError):
    """A model, a checkpoint or a data set was made with another schema than the one in use."""


class DataError(IronwokError):
    """Training or evaluation data cannot be used."""


class AnnotationError(DataError):
    """A file of annotated texts cannot be read or written at all."""


class DocumentError(IronwokError):
    """A document cannot be read."""


class UnreadableDocumentError(DocumentError):
    """A document does not exist, may not be read, is binary or damaged."""


class EmptyDocumentError(UnreadableDocumentError):
    """A document holds no text."""


class EncodingError(DocumentError):
    """The bytes of a document are no text in any likely encoding."""


class UnsupportedFormatError(DocumentError):
    """No reader is registered for the suffix of a document."""


class NoDocumentsError(DocumentError):
    """A folder holds nothing that can be read."""


class ModelError(IronwokError):
    """A model cannot be loaded or used."""


class ModelNotFoundError(ModelError):
    """No bundled model, folder or hub id of that name."""


class CheckpointError(ModelError):
    """A checkpoint is corrupt, incomplete or made for something else."""


class DamagedCheckpointError(CheckpointError):
    """A checkpoint of a run is not as it was written: torn, cut off, or its bytes changed."""


class MissingHeadError(ModelError):
    """The model lacks the head that the task needs."""


class SelfCheckError(ModelError):
    """The model cannot tell consecutive sentences from shuffled ones."""


class HomeError(IronwokError):
    """Something about home: a device, a way to it, or what was asked of it."""


class WayError(HomeError):
    """A way out did not work: the device does not answer, refuses, or is not there."""


class MainsHeldError(HomeError):
    """The mains were not cut, because it was not proven to be safe."""


class RoomTakenError(HomeError):
    """Another program acts for this room; two would know nothing of each other's scenes."""


class ScaleError(IronwokError):
    """A job on several machines cannot go on: its workers die, or nearly every row fails."""


class OutputError(IronwokError, OSError):
    """Results cannot be written."""


class MissingExtraError(IronwokError, ImportError):
    """An optional dependency is not installed.

    extra: name of the extra, as in ``pip install 'ironwok[extra]'``.
    feature: what the user wanted to do, for the message.
    """

    def __init__(self, extra: str, *, feature: str) -> None:
        self.extra = extra
        super().__init__(f"{feature} needs an optional part: pip install 'ironwok[{extra}]'")


class IronwokWarning(UserWarning):
    """Base of all warnings raised on purpose."""


class SelfCheckWarning(IronwokWarning):
    """The model cannot tell consecutive sentences from shuffled ones."""


class LongTextWarning(IronwokWarning):
    """Texts were longer than the model takes; they were read in windows or cut."""


class DataWarning(IronwokWarning):
    """Training or held-out data that is not used."""


class LanguageWarning(IronwokWarning):
    """Text in a language that the model hardly knows."""


class SlowWarning(IronwokWarning):
    """What was asked for takes much longer on this machine than something that is as good."""


class DecodingWarning(IronwokWarning):
    """A model found so much in a text that decoding stopped at a bound; the best was kept."""


class CheckpointWarning(IronwokWarning):
    """A damaged checkpoint is passed over; the run goes on from an earlier one."""
