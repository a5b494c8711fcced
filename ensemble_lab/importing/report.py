"""What an import says: one screen."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Report:
    """What was found and written; `parts` counts images, `rows` are those of the manifest."""

    source: Path
    out: Path
    kind: str
    images: int
    empty: int
    lesion: str
    groups: int
    rule: str
    parts: dict[str, int]
    left_out: list[str]
    notes: list[str]
    sheet: Path
    dry_run: bool = False
    rows: list[dict] = field(default_factory=list, repr=False)

    def text(self) -> str:
        """Return the report, one screen."""
        given = ", ".join(f"{part} {n}" for part, n in self.parts.items() if part)
        lines = [
            f"Source       {self.source}",
            f"Taken for    {self.kind}",
            f"Images       {self.images}, {self.images - self.empty} with a lesion",
            f"Lesion       {self.lesion}",
            f"Groups       {self.groups}, by {self.rule}",
            f"Parts        {given or 'none given: split at random, by group'}",
        ]
        for word, texts in (("Left out", self.left_out), ("Note", self.notes)):
            lines += [f"{word:13}{text}" for text in texts[:8]]
            lines += [f"{word:13}and {len(texts) - 8} more"] * (len(texts) > 8)
        written = "nothing but report and sheet (dry run)" if self.dry_run else self.out
        return "\n".join([*lines, f"Written      {written}", f"Look at      {self.sheet}"])
