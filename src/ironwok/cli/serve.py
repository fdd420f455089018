"""``ironwok serve``: the models over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ironwok.cli.language import t
from ironwok.cli.options import Device, PairsAtOnce


def about() -> str:
    return t(
        en="Serve classification, pairs of sentences, blanks, extraction and sourced answers over HTTP: /v1/classify, "
        "/v1/compare, /v1/fill, /v1/extract, /v1/answer, OpenAI-style /v1/chat/completions, /v1/models, /healthz, "
        "/readyz, /metrics; and a page for the browser. Requests that wait are read together. Ctrl-C finishes what was "
        "accepted.",
        zh="通过 HTTP 提供分类、句对判断、选词填空、抽取和有出处的问答：/v1/classify、/v1/compare、/v1/fill、"
        "/v1/extract、/v1/answer，与 OpenAI 兼容的 /v1/chat/completions，以及 /v1/models、/healthz、/readyz、/metrics，"
        "还有供浏览器使用的网页。同时到达的请求会合批处理。按 Ctrl-C 会先做完已接受的请求。",
    )


def serve(
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help=t(
                en="Classifier: bundled name, folder (also of a distilled model), or hub id.",
                zh="分类模型：自带模型名、文件夹（也可以是蒸馏出的模型）或 hub 名。",
            ),
        ),
    ] = "ironwok-small",
    no_classify: Annotated[
        bool, typer.Option("--no-classify", help=t(en="Serve without a classifier.", zh="不提供分类。"))
    ] = False,
    extract: Annotated[
        str | None,
        typer.Option(
            "--extract",
            metavar="MODEL",
            help=t(
                en="Also extract, with this model of `ironwok train`.",
                zh="同时提供抽取，用 `ironwok train` 训练的模型。",
            ),
        ),
    ] = None,
    answer: Annotated[
        str | None,
        typer.Option(
            "--answer",
            metavar="MODEL",
            help=t(
                en="Also answer and chat, with this causal language model (such as smollm2), or extractive: mark the "
                "words that answer, in Chinese and English.",
                zh="同时提供问答和对话，用这个因果语言模型（如 smollm2），或用 extractive：在中英文文本里标出答案。",
            ),
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            help=t(
                en="Address to listen on; 0.0.0.0 is open to the whole network: set a key then.",
                zh="监听的地址；0.0.0.0 对整个网络开放，请同时设置密钥。",
            ),
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "-p", min=0, max=65535, help=t(en="Port.", zh="端口。"))] = 8000,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            "--api-key-file",
            metavar="FILE",
            help=t(
                en="File of keys, one a line, of which requests have to bring one (also: IRONWOK_API_KEY).",
                zh="密钥文件，每行一个，请求必须带其中之一（也可用环境变量 IRONWOK_API_KEY）。",
            ),
        ),
    ] = None,
    web: Annotated[
        bool | None,
        typer.Option(
            "--web/--no-web",
            help=t(
                en="With a page for the browser (default: where Gradio is installed).",
                zh="是否提供网页（默认：装有 Gradio 就提供）。",
            ),
        ),
    ] = None,
    queue: Annotated[
        int,
        typer.Option(
            "--queue",
            min=1,
            help=t(en="Requests that may wait; one more gets 429.", zh="可排队的请求数，超出返回 429。"),
        ),
    ] = 64,
    seconds: Annotated[
        float,
        typer.Option(
            "--timeout", metavar="SECONDS", help=t(en="Longest that a request may take.", zh="每个请求最多几秒。")
        ),
    ] = 60.0,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate", metavar="N", help=t(en="Requests a minute of one client.", zh="每个客户端每分钟的请求数上限。")
        ),
    ] = None,
    max_body: Annotated[
        int,
        typer.Option("--max-body", metavar="BYTES", min=1, help=t(en="Largest request.", zh="请求体的最大字节数。")),
    ] = 4_000_000,
    max_texts: Annotated[
        int, typer.Option("--max-texts", min=1, help=t(en="Most texts in one request.", zh="每个请求最多几条文本。"))
    ] = 256,
    batch_wait: Annotated[
        float,
        typer.Option(
            "--batch-wait",
            metavar="MS",
            min=0,
            help=t(en="Milliseconds to wait for requests to read together.", zh="为合批最多等多少毫秒。"),
        ),
    ] = 5.0,
    batch_texts: Annotated[
        int,
        typer.Option(
            "--batch-texts",
            min=1,
            help=t(en="Most texts read together; 1 reads each request alone.", zh="一批最多几条文本；1 表示不合批。"),
        ),
    ] = 64,
    batch_size: PairsAtOnce = 64,
    device: Device = None,
) -> None:
    import os
    import warnings
    from importlib.util import find_spec

    from ironwok.cli.console import say
    from ironwok.errors import InputError, IronwokWarning, LanguageWarning, LongTextWarning, MissingExtraError

    try:
        from ironwok.serving import Limits, create_app, load_services
        from ironwok.serving.run import bound, serve_forever
    except ImportError as error:
        if error.name is not None and error.name.startswith("ironwok"):
            raise
        raise MissingExtraError("serve", feature="serving over HTTP") from error

    limits = Limits(
        body=max_body,
        texts=max_texts,
        queue=queue,
        seconds=seconds,
        rate=rate,
        batch_texts=batch_texts,
        batch_seconds=batch_wait / 1000,
    )
    keys = _keys(api_key_file, os.environ.get("IRONWOK_API_KEY"))
    if no_classify and extract is None and answer is None:
        raise InputError(
            "there is nothing to serve: leave --no-classify out, or name a model with --extract or --answer"
        )
    with bound(host, port) as at:  # before models are loaded
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", IronwokWarning)
            services = load_services(
                model=None if no_classify else model,
                extract=extract,
                answer=answer,
                device=device,
                batch_size=batch_size,
            )
        for warning in caught:
            say(str(warning.message), style="yellow")
        # what they tell stands in every result: the evidence, and the doubts
        warnings.simplefilter("ignore", LongTextWarning)
        warnings.simplefilter("ignore", LanguageWarning)
        page = find_spec("gradio") is not None if web is None else web
        app = create_app(services, limits=limits, api_keys=keys, page=page)
        if host not in ("127.0.0.1", "::1", "localhost") and not keys:
            say(
                t(
                    en=f"{host} can be reached by others and no key is set: everybody may ask (--api-key-file).",
                    zh=f"{host} 可被他人访问而没有设密钥：任何人都能请求（见 --api-key-file）。",
                ),
                style="yellow",
            )
        for name, tasks in services.models().items():
            say(f"{', '.join(tasks)}: {name}", style="dim")
        if page:
            shown = f"[{host}]" if ":" in host else host
            given = at.getsockname()[1]  # port 0 takes any that is free
            say(t(en=f"page: http://{shown}:{given}/", zh=f"网页：http://{shown}:{given}/"), style="dim")
        elif web is None:
            say(
                t(
                    en="no page for the browser: pip install 'ironwok[web]' adds one",
                    zh="没有网页：执行 pip install 'ironwok[web]' 后即有",
                ),
                style="dim",
            )
        serve_forever(app, at=at, limits=limits)


def _keys(file: Path | None, variable: str | None) -> list[str]:
    from ironwok.errors import InputError, UnreadableDocumentError

    keys = [variable.strip()] if variable and variable.strip() else []
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UnreadableDocumentError(f"{file} cannot be read: {error}") from error
        found = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        if not found:
            raise InputError(f"{file} holds no key: put one on a line")
        keys += found
    return keys
