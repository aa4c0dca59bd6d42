"""Whether a reply follows an instruction: strictly, as it stands, or loosely, without its frame or its asterisks."""

from proxyalign.tasks.instructions.kinds import KINDS, Instruction


def follows(instruction: Instruction, reply: str, published: bool = False) -> bool:
    """Whether the reply follows the instruction as it stands; a blank one follows none.

    published: with the check of the published code where it differs. Raises InputError where the check needs a package
    that is not installed.
    """
    kind = KINDS[instruction.id]
    check = kind.published if published and kind.published is not None else kind.check
    return bool(reply.strip()) and check(reply, **instruction.arguments)


def follows_loosely(instruction: Instruction, reply: str, published: bool = False) -> bool:
    """Whether one of eight versions of the reply follows the instruction: without its first line, its last, both or
    neither, each as it is and without asterisks (Zhou et al. 2023, section 2.3). Raises as `follows`."""
    return any(follows(instruction, version, published) for version in _versions(reply))


def _versions(reply: str) -> list[str]:
    """The versions, each once, the reply itself first."""
    lines = reply.split("\n")
    whole = [reply, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    return list(dict.fromkeys([*whole, *(text.replace("*", "") for text in whole)]))
