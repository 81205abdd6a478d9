"""Contracts for the recorded streams: Uniswap's own builds, and ours compiled by Solidity's compiler, all from npm.

Needed, in one folder of node modules (its path is given on the command line):

    npm install @foundry-rs/anvil@1.7.1 @uniswap/v2-core@1.0.1 @uniswap/v2-periphery@1.1.0-beta.0 \\
        @uniswap/v3-core@1.0.1 @uniswap/v3-periphery@1.4.4 \\
        solc@0.8.26 solc7@npm:solc@0.7.6 solc6@npm:solc@0.6.6 solc5@npm:solc@0.5.16

and from PyPI `eth-abi` and `eth-hash[pycryptodome]`. No bytecode is kept in this repository.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from eth_abi import decode, encode
from eth_hash.auto import keccak

SOLIDITY = Path(__file__).with_name("solidity")
#: The npm package of each compiler, by version.
COMPILERS = {"0.8.26": "solc", "0.7.6": "solc7", "0.6.6": "solc6", "0.5.16": "solc5"}
#: Reads standard JSON from stdin, and what sources import from the folders given.
_COMPILE = """
const fs = require('fs'), solc = require(process.argv[1]);
const read = path => {
    const places = process.argv.slice(2).map(folder => folder + '/' + path).filter(fs.existsSync);
    return places.length ? {contents: fs.readFileSync(places[0], 'utf8')} : {error: 'not found'};
};
const input = fs.readFileSync(0, 'utf8');
process.stdout.write(solc.compile(input, process.argv[1].endsWith('solc5') ? read : {import: read}));
"""


def signature(entry: dict[str, Any]) -> str:
    """`name(type,...)` of an ABI entry; tuples are written out."""
    return f"{entry['name']}({','.join(map(_type, entry['inputs']))})"


def _type(argument: dict[str, Any]) -> str:
    if not argument["type"].startswith("tuple"):
        return str(argument["type"])
    return f"({','.join(map(_type, argument['components']))}){argument['type'][5:]}"


@dataclass(frozen=True)
class Contract:
    """An ABI and the code that creates the contract."""

    abi: list[dict[str, Any]]
    code: str

    @cached_property
    def functions(self) -> dict[str, dict[str, Any]]:
        return {e["name"]: e for e in self.abi if e["type"] == "function"}

    def creation(self, *arguments: Any) -> str:
        """Hex of a creation with constructor arguments."""
        inputs = next((e["inputs"] for e in self.abi if e["type"] == "constructor"), [])
        return self.code + encode([_type(i) for i in inputs], arguments).hex()

    def call(self, name: str, *arguments: Any) -> str:
        """Hex of a call."""
        entry = self.functions[name]
        selector = keccak(signature(entry).encode())[:4]
        return "0x" + (selector + encode([_type(i) for i in entry["inputs"]], arguments)).hex()

    def answer(self, name: str, octets: bytes) -> tuple[Any, ...]:
        """What a call returned, decoded."""
        return tuple(decode([_type(o) for o in self.functions[name]["outputs"]], octets))


def reason(octets: bytes) -> str:
    """Why a call reverted, in the contract's words; empty where it said nothing."""
    if octets[:4] == bytes.fromhex("08c379a0"):
        return str(decode(["string"], octets[4:])[0])
    if octets[:4] == bytes.fromhex("4e487b71"):
        return f"Panic({decode(['uint256'], octets[4:])[0]})"
    return "" if not octets else "0x" + octets.hex()


class Workshop:
    """Finds and compiles contracts in a folder of node modules."""

    def __init__(self, modules: Path) -> None:
        self.modules = modules.resolve()

    def hardhat(self, package: str, path: str) -> Contract:
        """A build as Hardhat stores them, such as Uniswap V3's."""
        build = json.loads((self.modules / package / "artifacts" / "contracts" / path).read_text())
        return Contract(build["abi"], build["bytecode"])

    def waffle(self, package: str, name: str) -> Contract:
        """A build as Waffle stores them, such as Uniswap V2's."""
        build = json.loads((self.modules / package / "build" / f"{name}.json").read_text())
        return Contract(build["abi"], "0x" + build["bytecode"].removeprefix("0x"))

    def ours(self, name: str, version: str = "0.8.26") -> dict[str, Contract]:
        """All contracts of one of our files."""
        return self.compile({name: self.source(name)}, version)

    @staticmethod
    def source(name: str) -> str:
        """The text of one of our files."""
        return (SOLIDITY / name).read_text()

    def patched(
        self, path: str, version: str, replacements: dict[str, str], beside: str | None = None
    ) -> dict[str, Contract]:
        """All contracts of a published source in which texts were replaced, each found exactly once.

        `beside` is another published source, compiled unchanged against the patched one.
        """
        text = (self.modules / path).read_text()
        for old, new in replacements.items():
            assert text.count(old) == 1, f"{path}: {old!r} occurs {text.count(old)} times"
            text = text.replace(old, new)
        others = {} if beside is None else {beside: (self.modules / beside).read_text()}
        return self.compile({path: text} | others, version)

    def compile(self, sources: dict[str, str], version: str) -> dict[str, Contract]:
        """All contracts of the given sources, by name."""
        settings: dict[str, Any] = {
            "optimizer": {"enabled": True, "runs": 200},
            "evmVersion": "istanbul",
            "outputSelection": {name: {"*": ["abi", "evm.bytecode.object"]} for name in sources},
        }
        request = {
            "language": "Solidity",
            "sources": {n: {"content": t} for n, t in sources.items()},
            "settings": settings,
        }
        compiler = str(self.modules / COMPILERS[version])
        run = subprocess.run(
            ["node", "-e", _COMPILE, compiler, str(self.modules), str(SOLIDITY)],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=True,
        )
        found = json.loads(run.stdout)
        errors = [e["formattedMessage"] for e in found.get("errors", []) if e["severity"] == "error"]
        if errors:
            raise ValueError("\n".join(errors))
        return {
            name: Contract(build["abi"], "0x" + build["evm"]["bytecode"]["object"])
            for file in found["contracts"].values()
            for name, build in file.items()
        }
