"""The members of one sample of a tar, as they are gathered, and what is wrong with them."""

from dataclasses import dataclass, field

from pycurate.shards.header import LINK, NO_DATA, SYMBOLIC_LINK, Member
from pycurate.shards.links import Links
from pycurate.shards.membernames import metadata_kind, readable
from pycurate.shards.tar import Damage

Fault = tuple[str, str]
"""An error code and its message."""


MOST_OPEN = 1000  # groups that are held at a time; one is enough for tars without links
ADDED = frozenset({"__key__", "__url__", "__local_path__"})  # to each sample by webdataset, which ends at a second one


@dataclass(eq=False)
class Group:
    """Neighbours in a tar whose names have one key; they lie from `start` to `end`. Links of others may lie between."""

    key: str
    start: int
    end: int
    members: dict[str, Member] = field(default_factory=dict)  # extension -> member, a link with the bytes of its file
    fault: Fault | None = None  # the first thing that is wrong with the members
    torn: bool = False  # more may be lost behind its members than it knows of
    uncertain: bool = False  # nobody knows to whom the bytes before it belonged
    files: bool = False  # it holds more than links, and what else webdataset passes over

    def add(self, extension: str, member: Member, links: Links) -> None:
        """Take a member in. A link, too, if it can be followed within the tar."""
        name, fault, linked = readable(member.name), None, member.type == LINK
        if member.type == LINK and (followed := links.follow(member)):
            member = followed
        elif member.type == LINK:
            fault = "link", f"The member {name!r} is a hard link to something that does not precede it in the shard."
        elif member.type == SYMBOLIC_LINK:
            fault = "link", f"The member {name!r} is a symbolic link, which is not followed."
        elif not member.regular:
            kind = member.type.decode("latin-1")
            fault = (
                "unsupported",
                f"The member {name!r} is of type {kind!r}, which not all readers treat as a file.",
            )
        if extension in self.members:
            fault = fault or ("duplicate_key", f"The member {name!r} occurs twice in the sample.")
        if extension in ADDED:
            fault = fault or ("duplicate_key", f"The member {name!r} is named like what webdataset adds to a sample.")
        # WRITE copies any other member as it is stored, map and all; what a link stands for it could not.
        if member.sparse and (extension in ("txt", "json") or linked):
            fault = fault or ("unsupported", f"The member {name!r} is stored as a sparse file, which is not supported.")
        self.members.setdefault(extension, member)
        self.end, self.fault = member.end, self.fault or fault

    def lose(self, damage: Damage, fault: Fault) -> None:
        """Note that a member of the sample is damaged."""
        self.end, self.fault, self.torn = damage.end, self.fault or fault, damage.torn


class OpenGroups:
    """The groups of a tar to which the next member may belong, and those that must be told of after one of these.

    webdataset passes over links, and over files of a type that it does not know, so they do not end a group of another
    key. They are groups of their own here, which stand behind the one that goes on. A file ends all groups but its own.

    Attributes:
        last: the group to which the last member belongs; it goes on, as does the first.
        torn: nobody knows to whom the bytes before the next group belong.
    """

    def __init__(self) -> None:
        self._groups: list[Group] = []
        self.last: Group | None = None
        self.torn = False

    def going_on(self) -> list[Group]:
        """The groups that may get another member."""
        if self.last is None or self.last is self._groups[0]:
            return self._groups[:1]
        return [self._groups[0], self.last]

    def close(self) -> list[Group]:
        """End all groups; they come in the tar's order."""
        ended = self._groups
        self.torn = self.last.torn if self.last else self.torn
        self._groups, self.last = [], None
        return ended

    def closed_by(self, key: str, file: bool) -> list[Group]:
        """The groups that a member of this key ends, be it a file or something that webdataset passes over."""
        own = self._of(key)
        if own is None:
            beside = not file and self._groups and self._groups[0].files and len(self._groups) < MOST_OPEN
            return [] if beside else self.close()
        if not file or own is self._groups[0]:
            return []
        ended = self._groups[:-1]  # it is the last one
        self._groups = [own]
        return ended

    def take(self, key: str, part: Member | Damage, file: bool) -> Group:
        """The group to which a member of this key belongs, a new one if need be."""
        group = self._of(key)
        if group is None:
            torn = self.last.torn if self.last else self.torn
            group = Group(key, part.start, part.end, uncertain=torn)
            self._groups.append(group)
        group.files = group.files or file
        self.last = group
        return group

    def _of(self, key: str) -> Group | None:
        return next((group for group in self.going_on() if group.key == key), None)


def belongs(member: Member) -> bool:
    """Whether a member with a sample's name is one of the sample's: a file, a link, or what tar extracts as a file."""
    # Types in capitals are their makers' own: volume labels, access lists.
    other = member.type not in NO_DATA and not member.type.isupper() and member.type != b"g"
    return member.regular or member.type in (LINK, SYMBOLIC_LINK) or (other and not member.name.endswith("/"))


def passed_over(part: Member | Damage) -> str:
    """What kind of metadata a part is, of no sample; "" if it is none, or more may be lost with it as it is damaged."""
    if part.name is None or (isinstance(part, Damage) and part.torn):
        return ""
    return metadata_kind(part.name)
