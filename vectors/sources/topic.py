"""One vector file: questions, verdicts, answers, in the order in which they are added."""

from .frames import FRAME_LEN_MIN, parts, text


def flip_bits(first, last):
    """Every single bit of the bytes `first` to `last`, one at a time."""
    return f"{{ flip_bits = [{first}, {last}] }}"


def truncate(first, last):
    """The frame cut to each length from `first` to `last`."""
    return f"{{ truncate = [{first}, {last}] }}"


def values(offset, size, first, last, skip=(), checksums=()):
    """Every number from `first` to `last` in the `size` bytes at `offset`; the checksums at these offsets kept right."""
    more = f", skip = {list(skip)}" if skip else ""
    more += f", checksums = {list(checksums)}" if checksums else ""
    return f"{{ values = {{ offset = {offset}, size = {size}, from = {first}, to = {last}{more} }} }}"


def bytes_at(offset, each, checksums=()):
    """Each of these byte strings at `offset`; the checksums at these offsets kept right."""
    found = ", ".join(f'"{one.hex()}"' for one in each)
    more = f", checksums = {list(checksums)}" if checksums else ""
    return f"{{ bytes = {{ offset = {offset}, each = [{found}]{more} }} }}"


class Topic:
    """The vectors of one file."""

    def __init__(self, name, about):
        self.name, self.about, self.vectors, self.ids = name, about, [], set()

    def replies(self, ident, rule, says, question, answer, **more):
        """The question is answered with this frame, byte for byte."""
        self._vector(ident, rule, says, question, "reply", answer=answer, **more)

    def passes(self, ident, rule, says, question, reason=None, **more):
        """The question is handed on unchanged, for this reason."""
        self._vector(ident, rule, says, question, "pass", reason=reason, **more)

    def drops(self, ident, rule, says, question, reason=None, **more):
        """The question ends here, for this reason."""
        self._vector(ident, rule, says, question, "drop", reason=reason, **more)

    def silences(self, ident, rule, says, question, **more):
        """The question is not answered; whether it is handed on or dropped is not the rule's business."""
        self._vector(ident, rule, says, question, "silence", **more)

    def conversation(self, ident, rule, says, *steps):
        """Questions in a row: (milliseconds after the one before, question, verdict, reason, answer) each."""
        lines = self._head("conversation", ident, rule, says)
        for after_ms, question, verdict, reason, answer in steps:
            lines += ["", "[[conversation.step]]", f"after_ms = {after_ms}"]
            lines += self._body(question, verdict, reason, answer)
        self.vectors.append(lines)

    def _vector(
        self,
        ident,
        rule,
        says,
        question,
        verdict,
        reason=None,
        answer=None,
        each=None,
        settings=None,
        room=FRAME_LEN_MIN,
        filler=0,
    ):
        lines = self._head("vector", ident, rule, says)
        if settings:
            lines.append(f"settings = {settings}")
        lines += self._body(question, verdict, reason, answer, each, room, filler)
        self.vectors.append(lines)

    def _head(self, kind, ident, rule, says):
        assert ident not in self.ids, f"{ident} stands twice"
        assert '"' not in says and says.endswith("."), says
        self.ids.add(ident)
        return [f"[[{kind}]]", f'id = "{ident}"', f'rule = "{rule}"', f'says = "{says}"']

    @staticmethod
    def _body(question, verdict, reason, answer, each=None, room=FRAME_LEN_MIN, filler=0):
        lines = [f'verdict = "{verdict}"']
        if reason:
            lines.append(f'reason = "{reason}"')
        if each:
            lines.append("each = [" + ", ".join(each) + "]")
        lines += ['question = """', text(parts(question, room, filler)), '"""']
        if answer is not None:
            lines += ['answer = """', text(parts(answer)), '"""']
        return lines

    def render(self, made_with):
        """The whole file."""
        head = [f"# {line}".rstrip() for line in self.about.splitlines()]
        head += [
            "#",
            f"# Written by vectors/generate.py with {made_with}: change vectors/sources/{self.name}.py instead.",
        ]
        return "\n".join(head) + "\n\n" + "\n\n".join("\n".join(lines) for lines in self.vectors) + "\n"
