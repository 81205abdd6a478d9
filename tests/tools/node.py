"""A local EVM node (anvil) that mines when told to, asked over JSON-RPC.

The chain is a function of what is sent: fixed accounts, timestamps and gas prices. Blocks are mined on demand,
so a block holds exactly the transactions sent before it, in the order in which they were sent.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.tools.contracts import Contract, reason

GENESIS_TIME = 1_700_000_000
ACCOUNTS = 10
Log = dict[str, Any]


class Reverted(Exception):
    """A call reverted; `reason` holds the contract's words."""

    def __init__(self, octets: bytes) -> None:
        super().__init__(reason(octets))
        self.reason = reason(octets)


class Node:
    """An anvil process; use as a context manager.

    Attributes
    ----------
    accounts : addresses that the node signs for
    now : timestamp of the latest block, seconds
    height : number of the latest block
    """

    def __init__(self, modules: Path, *, gas_limit: int = 30_000_000, base_fee: int = 1_000_000_000) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        anvil = next((modules / "@foundry-rs").glob("anvil-*/bin/anvil"))
        options = {
            "--port": port,
            "--timestamp": GENESIS_TIME,
            "--gas-limit": gas_limit,
            "--block-base-fee-per-gas": base_fee,
            "--order": "fifo",
            "--hardfork": "cancun",
            "--accounts": ACCOUNTS,
            "--balance": 10**12,
        }
        self._process = subprocess.Popen(
            [str(anvil), *(str(x) for o in options.items() for x in o), "--no-mining", "--silent"],
            preexec_fn=lambda: os.nice(10),
        )
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._await()
        self.accounts: list[str] = self.rpc("eth_accounts")
        self.now, self.height = GENESIS_TIME, 0
        self._made: dict[str, str] = {}

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait()

    def _await(self) -> None:
        for _ in range(200):
            try:
                self._http.connect()
                return
            except OSError:
                time.sleep(0.05)
        raise TimeoutError("anvil does not answer")

    def rpc(self, method: str, *parameters: Any) -> Any:
        """The result of a JSON-RPC request."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters})
        self._http.request("POST", "/", body, {"content-type": "application/json"})
        answer = json.loads(self._http.getresponse().read())
        if "error" not in answer:
            return answer["result"]
        if answer["error"].get("code") == 3:
            raise Reverted(bytes.fromhex((answer["error"].get("data") or "0x")[2:]))
        if "InvalidFEOpcode" in answer["error"]["message"]:  # older compilers' panic: it says nothing
            raise Reverted(b"")
        raise RuntimeError(f"{method}: {answer['error']}")

    def send(self, to: str | None, octets: str, *, sender: int = 0, gas: int = 12_000_000) -> str:
        """Queue a transaction for the next block; its hash."""
        transaction = {
            "from": self.accounts[sender],
            "data": octets,
            "gas": hex(gas),
            "maxFeePerGas": hex(10**13),
            "maxPriorityFeePerGas": hex(10**9),
        }
        return str(self.rpc("eth_sendTransaction", transaction | ({"to": to} if to else {})))

    def mine(self, seconds: int = 12) -> int:
        """Mine what was sent, `seconds` after the latest block (0 is allowed); the block's number."""
        self.now += seconds
        self.rpc("evm_setNextBlockTimestamp", self.now)
        self.rpc("evm_mine")
        self.height += 1
        assert not int(self.rpc("eth_getBlockTransactionCountByNumber", "pending"), 16), "block is full"
        return self.height

    def create(self, contract: Contract, *arguments: Any) -> str:
        """Create a contract in a block of its own; its address."""
        sent = self.send(None, contract.creation(*arguments))
        self.mine()
        receipt = self.rpc("eth_getTransactionReceipt", sent)
        assert receipt["status"] == "0x1", "creation reverted"
        return str(receipt["contractAddress"])

    def do(self, contract: Contract, to: str, name: str, *arguments: Any, sender: int = 0) -> None:
        """Send one call in a block of its own; it must not revert."""
        sent = self.send(to, contract.call(name, *arguments), sender=sender)
        self.mine()
        assert self.rpc("eth_getTransactionReceipt", sent)["status"] == "0x1", f"{name} reverted"

    def ask(self, contract: Contract, to: str, name: str, *arguments: Any, block: int | None = None) -> Any:
        """What a call would return at the end of a block; a lone value comes without its tuple."""
        octets = self.view(to, contract.call(name, *arguments), block)
        values = contract.answer(name, octets)
        return values[0] if len(values) == 1 else values

    def view(
        self, to: str, octets: str, block: int | None = None, code: dict[str, str] | None = None
    ) -> bytes:
        """The bytes that a call would return at the end of a block, if contracts in `code` had that code."""
        request = {"from": self.accounts[0], "to": to, "data": octets, "gas": hex(1_000_000_000)}
        overrides = [{address: {"code": octets} for address, octets in code.items()}] if code else []
        at = "latest" if block is None else hex(block)
        return bytes.fromhex(self.rpc("eth_call", request, at, *overrides)[2:])

    def returned(self, sent: str) -> bytes:
        """What a mined transaction's outermost call returned."""
        options = {"tracer": "callTracer", "tracerConfig": {"onlyTopCall": True}}
        trace = self.rpc("debug_traceTransaction", sent, options)
        assert "error" not in trace, trace["error"]
        return bytes.fromhex(trace.get("output", "0x")[2:])

    def logs(self, first: int, last: int) -> list[Log]:
        """All logs of a range of blocks, as `eth_getLogs` answers."""
        found = self.rpc("eth_getLogs", {"fromBlock": hex(first), "toBlock": hex(last)})
        return sorted(found, key=lambda entry: (int(entry["blockNumber"], 16), int(entry["logIndex"], 16)))

    def headers(self, first: int, last: int) -> Iterable[dict[str, Any]]:
        """One record a block: what blocks.jsonl holds."""
        for number in range(first, last + 1):
            header = self.rpc("eth_getBlockByNumber", hex(number), False)
            yield {
                "number": number,
                "hash": header["hash"],
                "parentHash": header["parentHash"],
                "timestamp": int(header["timestamp"], 16),
                "txs": len(header["transactions"]),
                "baseFeePerGas": int(header["baseFeePerGas"], 16),
                "gasUsed": int(header["gasUsed"], 16),
                "gasLimit": int(header["gasLimit"], 16),
            }
