"""Writes which releases of engines each release of Dynamo is built with: the extras of its package.

    python3 scripts/options/dynamo-engines.py ai_dynamo-*.whl >src/engine-options/tables/dynamo-engines.json

Its images have the same releases (docs/reference/support-matrix.md of ai-dynamo/dynamo).
"""
import json
import re
import sys
import zipfile

NAMES = {"sglang": "sglang", "vllm": "vllm", "tensorrt-llm": "trtllm"}

releases = {}
for wheel in sys.argv[1:]:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
    version = re.search(r"^Version: (\S+)", metadata, re.M)[1]
    pins = re.findall(r"^Requires-Dist: (sglang|vllm|tensorrt-llm)(?:\[[^]]*\])?==(\S+); extra", metadata, re.M)
    releases[version] = {NAMES[name]: pin for name, pin in pins}
sys.stdout.write("{\n" + ",\n".join(f"{json.dumps(one)}:{json.dumps(releases[one])}" for one in sorted(releases)) + "\n}\n")
