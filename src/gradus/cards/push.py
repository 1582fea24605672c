"""Sending an exported folder to the Hub."""

from __future__ import annotations

from pathlib import Path

from gradus.checkpoints import verify
from gradus.errors import ServiceError, UsageError
from gradus.sources.hub_client import client, failures, reason


def check_name(repository: str) -> None:
    """Refuse what can't be a repository's name, before anything is copied.

    Raises:
        MissingExtra: the Hub's client isn't installed.
        UsageError: it can't.
    """
    hub = client(f"pushing to {repository}")
    try:
        hub.utils.validate_repo_id(repository)
    except hub.errors.HFValidationError as error:
        raise UsageError(f"'{repository}' is no repository's name: {reason(error)}") from error


def push(folder: Path, repository: str, *, public: bool = False) -> str:
    """Upload a folder as one commit to a model repository, which is made when it isn't there.

    The token is the client's own (``HF_TOKEN``, or what ``hf auth login`` stored).

    Args:
        folder: an exported checkpoint; it is hashed before anything is sent.
        repository: ``NAME`` or ``OWNER/NAME``.
        public: whether a repository that is made now can be seen by everybody.

    Returns:
        The commit's address.

    Raises:
        MissingExtra: the Hub's client isn't installed.
        CheckpointError: a file was changed.
        ServiceError: the Hub can't be reached, or refuses.
    """
    hub = client(f"pushing to {repository}")
    manifest = verify(folder)
    api = hub.HfApi()
    try:
        made = api.create_repo(repository, repo_type="model", private=not public, exist_ok=True)
        commit = api.upload_folder(
            repo_id=made.repo_id,
            repo_type="model",
            folder_path=str(folder),
            commit_message=f"Checkpoint {manifest.digest[:16]}",
        )
    except failures(hub) as error:
        raise ServiceError(
            f"{repository} on the Hub can't be written: {reason(error)}. Log in with 'hf auth "
            f"login' or set HF_TOKEN, check name and network; the copy in {folder} is whole "
            "and can be exported again from there"
        ) from error
    return str(commit.commit_url)
