"""Content keys, the ledger and the run folder: cache and resume are this one mechanism."""

from orchestra.runs.account import Account
from orchestra.runs.budget import Budget, Cost
from orchestra.runs.cache import Cache, cache_key
from orchestra.runs.codec import decode, encode
from orchestra.runs.disk import claim_folder, write_whole
from orchestra.runs.folder import SPENDING, RunFolder, RunView
from orchestra.runs.keys import digest, request_key
from orchestra.runs.ledger import RECORDS, Ledger, LedgerWriter, Reused, RowKind
from orchestra.runs.manifest import Manifest, RunStatus, read_manifest

__all__ = [
    "RECORDS",
    "SPENDING",
    "Account",
    "Budget",
    "Cache",
    "Cost",
    "Ledger",
    "LedgerWriter",
    "Manifest",
    "Reused",
    "RowKind",
    "RunFolder",
    "RunStatus",
    "RunView",
    "cache_key",
    "claim_folder",
    "decode",
    "digest",
    "encode",
    "read_manifest",
    "request_key",
    "write_whole",
]
