"""How a stage ends: one line for what a user can mend, all there is for what nobody foresaw."""

import errno
import io
import re
import sys

import pytest

from stages.shared.errors import InputError
from stages.shared.errors import run as run_main
from stages.shared.text import LONGEST_MESSAGE, count_of, shortened, without_secrets


def raising(error: BaseException):
    def main() -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InputError("two\nlines  of words"), "error: two lines of words"),
        (InputError("at http://me:word@host/a?key=word"), "at http://***@host/a?key=***"),
        (KeyboardInterrupt(), "error: interrupted"),
        (OSError(errno.ENOSPC, "x", "data/a"), "error: data/a: No space left on device"),
        (OSError(errno.ENAMETOOLONG, "x", 400 * "n"), "nnn … nnn"),
        (OSError(errno.ENAMETOOLONG, "x", "a"), "error: a: File name too long"),
        (FileExistsError(errno.EEXIST, "x", "a"), "error: a: File exists"),
        (NotADirectoryError(errno.ENOTDIR, "x", "a"), "error: a: Not a directory"),
        (FileNotFoundError(errno.ENOENT, "x", "a"), "error: a: No such file or directory: dvc che"),
    ],
)
def test_what_a_user_can_mend_is_one_line(error, said):
    with pytest.raises(SystemExit) as end:
        run_main(raising(error))
    assert said in end.value.code
    assert "\n" not in end.value.code


def test_a_character_that_the_locale_lacks_is_told_apart_from_others(monkeypatch):
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding="latin-1"))
    run_main(lambda: print("−1.1 ü", flush=True))  # noqa: RUF001
    assert out.getvalue() == b"\\u22121.1 \xfc\n"


@pytest.mark.parametrize(
    "error", [ValueError("shapes differ"), OSError(errno.EIO, "Input/output error"), KeyError("x")]
)
def test_what_nobody_foresaw_keeps_its_type_and_where_it_came_from(error):
    main = raising(error)
    with pytest.raises(type(error)) as caught:
        run_main(main)
    assert caught.value is error
    assert any(entry.name == "main" for entry in caught.traceback)


def test_memory_that_ran_out_ends_the_process_with_one_line(run, project):
    code = "from stages.shared.errors import run\ndef main(): raise MemoryError\nrun(main)"
    done = run(project, "python", "-c", code, check=False)
    assert (done.returncode, done.stderr) == (1, "error: out of memory: MemoryError\n")


def test_a_long_message_keeps_its_beginning_and_its_end():
    text = shortened(" ".join(str(i) for i in range(1000)))
    assert len(text) == LONGEST_MESSAGE
    assert text.startswith("0 1 2 ")
    assert text.endswith(" 998 999")
    assert shortened("a\n b") == "a b"


def test_a_number_and_what_it_counts_agree():
    assert [count_of(n, "text") for n in (0, 1, 2, 1234)] == [
        "0 texts", "1 text", "2 texts", "1,234 texts",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("http://host/a", "http://host/a"),
        ("x https://me:pw@h:1/a?b=c&d#e y", "x https://***@h:1/a?b=***&*** y"),
        ("'s3:/key@bucket/x'", "'s3:/***@bucket/x'"),
        ("retries exceeded with url: /a?token=secret (x)", "with url: /a?token=*** (x)"),
        ("https://h/f?sig=ab'secret", "https://h/f?sig=***"),
        ("https://h/f?a=1?secret", "https://h/f?a=***"),
        ("https://h/f?to=https://x/y?secret", "https://h/f?to=***"),
        ("https://h/it's?secret", "https://h/it's?***"),
        ("https://h/f.csv#token=secret", "https://h/f.csv"),
        ("https://h/f?", "https://h/f"),
        ("column 'why?a=b', see", "column 'why?a=b', see"),
        ("is it so?yes", "is it so?yes"),
        ("really? Yes", "really? Yes"),
        ("mail me@example.org", "mail me@example.org"),
    ],
)
def test_secrets_of_an_address_are_hidden_and_no_other_text(text, hidden):
    assert hidden in without_secrets(text)
    assert not re.search("pw|secret|key@|c&d", without_secrets(text))
