"""/v1/answer and /v1/chat/completions with a tiny model of random weights, whose words mean nothing."""

from __future__ import annotations

import json

import pytest
from served import Endless, eventually, serving

from ironwok.nbce import Answerer, Settings
from ironwok.serving import Limits, Services, load_services
from ironwok.serving.chat import text_and_question

CONTEXTS = ["The key is under the mat.", "The cat is on the roof."]
QUESTION = "Where is the key?"


@pytest.fixture(scope="module")
def answerer():
    """Bytes are tokens; two layers of random weights."""
    import torch
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    names = ["<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    inner = Tokenizer(BPE(vocab={name: number for number, name in enumerate(names)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", pad_token="</s>", clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(names),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=1024,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return Answerer(LlamaForCausalLM(config).eval(), tokenizer=tokenizer)


@pytest.fixture(scope="module")
def client(answerer):
    with serving(Services(answerer=answerer, answerer_name="tiny"), limits=Limits(answer_tokens=64)) as running:
        yield running.client


def test_an_answer_is_the_one_that_the_call_gives(client, answerer):
    ask = {"question": QUESTION, "contexts": CONTEXTS, "max_tokens": 12, "decoding": {"keep": 1}}
    status, _, answer = client.send("/v1/answer", ask)
    assert status == 200
    expected = answerer.ask(QUESTION, CONTEXTS, settings=Settings(max_tokens=12, keep=1)).to_dict()
    assert answer.pop("model") == "tiny"
    assert answer == json.loads(json.dumps(expected))
    assert len(answer["tokens"]) <= 12


def test_a_stream_is_the_answer_in_pieces(client):
    ask = {"question": QUESTION, "contexts": [{"text": CONTEXTS[0], "id": "mat.txt"}], "max_tokens": 16}
    *pieces, last = client.events("/v1/answer", ask | {"stream": True})
    whole = client.send("/v1/answer", ask)[2]
    assert len(pieces) > 1
    assert "".join(piece["delta"] for piece in pieces).strip() == last["answer"] == whole["answer"]
    assert last["sources"][0]["document"] == "mat.txt"


def chat(**fields):
    return {"messages": [{"role": "user", "content": QUESTION}], "documents": CONTEXTS, "max_tokens": 10} | fields


def test_chat_answers_from_the_documents(client):
    status, _, answer = client.send("/v1/chat/completions", chat(model="tiny", user="someone"))
    assert status == 200
    assert (answer["object"], answer["created"], answer["model"]) == ("chat.completion", 1234, "tiny")
    (choice,) = answer["choices"]
    direct = client.send("/v1/answer", {"question": QUESTION, "contexts": CONTEXTS, "max_tokens": 10})[2]
    assert choice["message"]["content"] == direct["answer"] == answer["ironwok"]["answer"]
    assert choice["finish_reason"] == ("stop" if direct["finished"] else "length")
    # bytes are tokens
    assert answer["usage"]["prompt_tokens"] == len(QUESTION) + sum(map(len, CONTEXTS))
    assert answer["usage"]["completion_tokens"] == len(direct["tokens"])


def test_chat_streams_as_openai_does(client):
    whole = client.send("/v1/chat/completions", chat())[2]
    first, *chunks, last, counts = client.events(
        "/v1/chat/completions", chat(stream=True, stream_options={"include_usage": True})
    )
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert {one["object"] for one in (first, *chunks, last, counts)} == {"chat.completion.chunk"}
    assert len({one["id"] for one in (first, *chunks, last, counts)}) == 1
    said = "".join(one["choices"][0]["delta"]["content"] for one in chunks).strip()
    assert said == whole["choices"][0]["message"]["content"]
    assert last["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert (counts["choices"], counts["usage"]) == ([], whole["usage"])


def test_a_long_message_is_text_and_question(client):
    content = f"{CONTEXTS[0]}\n\n{CONTEXTS[1]}\n\n{QUESTION}"
    parts = [{"type": "text", "text": content}]
    for message in (content, parts):
        status, _, answer = client.send(
            "/v1/chat/completions", {"messages": [{"role": "user", "content": message}], "max_tokens": 5}
        )
        assert status == 200
        assert answer["ironwok"]["question"] == QUESTION
        (text,) = {source["text"] for source in answer["ironwok"]["sources"]}
        assert text in content
    history = [{"role": "system", "content": CONTEXTS[1]}, {"role": "user", "content": QUESTION}]
    answer = client.send("/v1/chat/completions", {"messages": history, "max_tokens": 5})[2]
    assert answer["ironwok"]["sources"][0]["text"] == CONTEXTS[1]


STORY = " ".join(CONTEXTS * 5)


@pytest.mark.parametrize(
    ("message", "text", "question"),
    [
        (f"{CONTEXTS[0]}\n \n{CONTEXTS[1]}\n\n\n{QUESTION}", f"{CONTEXTS[0]}\n \n{CONTEXTS[1]}", QUESTION),
        (f"{QUESTION}\n\n{CONTEXTS[0]}\n\n{CONTEXTS[1]}", f"{CONTEXTS[0]}\n\n{CONTEXTS[1]}", QUESTION),
        (f"{QUESTION}\n\n{CONTEXTS[0]}\n\nAnd the cat?", f"{QUESTION}\n\n{CONTEXTS[0]}", "And the cat?"),
        (f"{STORY}\n{QUESTION}", STORY, QUESTION),
        (f"{QUESTION}\n{STORY}\n{STORY}", f"{STORY}\n{STORY}", QUESTION),
        (f"{STORY} {QUESTION}", STORY, QUESTION),
        (f"{QUESTION} {STORY}", STORY, QUESTION),
        (f"{'钥匙在垫子下面。' * 40}钥匙在哪里？", "钥匙在垫子下面。" * 40, "钥匙在哪里？"),
        (f"Hello.\n{QUESTION}", "", f"Hello.\n{QUESTION}"),
        ("长" * 400, "", "长" * 400),
    ],
)
def test_a_plain_message_is_cut_into_text_and_question(message, text, question):
    assert text_and_question(message, finely=True) == (text, question)


def test_a_question_after_other_messages_is_not_cut(client):
    assert text_and_question(f"{STORY} {QUESTION}", finely=False) == ("", f"{STORY} {QUESTION}")
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"{STORY} {QUESTION}"}]
    status, _, answer = client.send("/v1/chat/completions", {"messages": messages, "max_tokens": 5})
    assert (status, answer["ironwok"]["question"]) == (200, QUESTION)
    turns = [{"role": "user", "content": STORY}, {"role": "user", "content": "Where is the key? " * 12}]
    status, _, answer = client.send("/v1/chat/completions", {"messages": turns, "max_tokens": 5})
    assert (status, answer["ironwok"]["question"]) == (200, turns[1]["content"].strip())


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"documents": None}, "nothing to answer from"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, "not of the user"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "messages"),
        ({"contexts": ["a"]}, "the same thing"),
        ({"n": 2}, "n is not supported"),
        ({"tools": [{"type": "function"}]}, "tools is not supported"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"max_tokens": 1000}, "at most 64"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": -1}, "temperature"),
        ({"stop": ""}, "stop"),
        ({"documents": [{"id": "a"}]}, "documents"),
        ({"documents": [" "]}, "blank"),
        ({"model": "gpt-9"}, "no model 'gpt-9'"),
        ({"documents": ["a"] * 300}, "at most 256"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_asked_wrongly_is_refused_before_a_stream_begins(client, fields, told, stream):
    status, _, answer = client.send("/v1/chat/completions", chat(stream=stream, **fields))
    assert 400 <= status < 500
    assert told in answer["error"]["message"]


def test_a_question_that_leaves_no_room_is_told_in_the_stream_too(client):
    ask = {"question": "why " * 400, "contexts": CONTEXTS}
    status, _, answer = client.send("/v1/answer", ask)
    assert status == 422
    assert "no room" in answer["error"]["message"]
    assert "no room" in client.events("/v1/answer", ask | {"stream": True})[-1]["error"]["message"]


def test_the_client_of_openai_works_unchanged(client):
    from openai import NotFoundError, OpenAI

    with OpenAI(base_url=f"http://127.0.0.1:{client.port}/v1", api_key="any", max_retries=0) as openai:
        assert [model.id for model in openai.models.list()] == ["tiny"]
        ask = {"model": "tiny", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 10}
        whole = openai.chat.completions.create(**ask, extra_body={"documents": CONTEXTS})
        said = whole.choices[0].message.content
        assert said == client.send("/v1/chat/completions", chat())[2]["choices"][0]["message"]["content"]
        assert whole.usage.completion_tokens > 0
        stream = openai.chat.completions.create(**ask, stream=True, extra_body={"documents": CONTEXTS})
        assert "".join(one.choices[0].delta.content or "" for one in stream).strip() == said
        with pytest.raises(NotFoundError, match="no model 'gpt-9'"):
            openai.chat.completions.create(**(ask | {"model": "gpt-9"}), extra_body={"documents": CONTEXTS})


def test_an_answer_that_nobody_reads_is_given_up():
    answerer = Endless()
    with serving(Services(answerer=answerer, answerer_name="endless")) as running:
        connection = running.client.connect()
        body = json.dumps({"question": "?", "contexts": ["a"], "stream": True})
        connection.request("POST", "/v1/answer", body=body, headers={"content-type": "application/json"})
        response = connection.getresponse()
        assert response.readline().startswith(b"data: ")
        response.close()
        connection.close()
        assert answerer.stopped.wait(20)


def test_an_answer_that_takes_too_long_ends_in_an_error():
    answerer = Endless()
    with serving(Services(answerer=answerer, answerer_name="endless"), limits=Limits(seconds=0.3)) as running:
        client = running.client
        *pieces, last = client.events("/v1/answer", {"question": "?", "contexts": ["a"], "stream": True})
        assert all(piece == {"delta": "on and "} for piece in pieces)
        assert last["error"]["code"] == "timeout"
        assert answerer.stopped.wait(20)
        answerer.stopped.clear()
        assert client.send("/v1/answer", {"question": "?", "contexts": ["a"]})[0] == 504
        eventually(answerer.stopped.is_set)


def test_a_bug_ends_a_stream_with_a_word_but_no_details():
    class Broken:
        @staticmethod
        def tokenizer(text, *, add_special_tokens):
            return {"input_ids": []}

        def ask(self, question, contexts, *, settings, on_text, on_read):
            on_text("so ")
            raise ZeroDivisionError("secret of another user")

    with serving(Services(answerer=Broken(), answerer_name="broken")) as running:
        answer = {"question": "?", "contexts": ["a"], "stream": True}
        for path, ask in (("/v1/answer", answer), ("/v1/chat/completions", chat(stream=True))):
            *_, last = running.client.events(path, ask)
            assert last["error"]["code"] == "internal_error"
            assert "secret" not in str(last)


def test_the_reader_without_a_language_model_answers_too():
    services = load_services(model=None, answer="extractive")
    contexts = ["面团要发两次：先在盆里一小时。", "去林岛的渡船早上七点从旧码头出发，周日停航。"]
    ask = {"question": "去林岛的渡船几点出发？", "contexts": contexts}
    with serving(services) as running:
        status, _, whole = running.client.send("/v1/answer", ask)
        assert (status, whole["model"]) == (200, "extractive")
        assert whole["answer"]
        assert whole["answer"] in contexts[1]
        assert (whole["sources"][0]["context"], whole["sources"][0]["text"]) == (1, contexts[1])
        *pieces, last = running.client.events("/v1/answer", ask | {"stream": True})
        assert "".join(piece["delta"] for piece in pieces).strip() == last["answer"] == whole["answer"]
        chat = {"messages": [{"role": "user", "content": ask["question"]}], "documents": contexts}
        answer = running.client.send("/v1/chat/completions", chat)[2]
        assert answer["choices"][0]["message"]["content"] == whole["answer"]
        assert answer["usage"]["prompt_tokens"] == sum(map(len, [ask["question"], *contexts]))
