"""The check of the crates' imports finds a circle that was made up, and nothing where there is none."""

from __future__ import annotations

from pathlib import Path

from tools.rust_circles import ROOT, circle, imports, renamed


def crate(source: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return source


def test_a_circle_is_found_with_the_lines_that_close_it(tmp_path: Path) -> None:
    files = {
        "lib.rs": "pub mod a;\npub mod b;\npub mod c;\n",
        "a.rs": "use std::io;\nuse crate::{\n    d::D,\n    b::{self, B},\n};\n",
        "b.rs": "fn f() {\n    let x = 1;\n    crate::c::sub::g(x)\n}\n",
        "c/mod.rs": "pub mod sub;\npub use sub::g;\n",
        "c/sub.rs": "pub use super::super::a::A;\n",
        "d.rs": "",
    }
    assert circle(imports(crate(tmp_path, files))) in (
        ["a.rs:4 imports b.rs", "b.rs:3 imports c/sub.rs", "c/sub.rs:1 imports a.rs"],
        ["b.rs:3 imports c/sub.rs", "c/sub.rs:1 imports a.rs", "a.rs:4 imports b.rs"],
        ["c/sub.rs:1 imports a.rs", "a.rs:4 imports b.rs", "b.rs:3 imports c/sub.rs"],
    )


def test_comments_texts_and_tests_import_nothing(tmp_path: Path) -> None:
    files = {
        "lib.rs": "pub mod a;\npub mod b;\n",
        "a.rs": "use crate::b::B;\n",
        "b.rs": '//! See [`crate::a`].\n/* crate::a */ fn f() -> &str { "\\"crate::a" }\n'
        "#[cfg(test)]\nmod tests {\n    use super::*;\n    use crate::a::A;\n}\n",
        "tests/t.rs": "use crate::a::A;\n",
    }
    found = imports(crate(tmp_path, files))
    assert found == {"lib.rs": {}, "a.rs": {"b.rs": 1}, "b.rs": {}}
    assert circle(found) == []


def test_the_imports_of_the_crates_are_seen() -> None:
    core = imports(ROOT / "crates/core/src")
    assert {"port.rs", "session.rs", "table.rs"} <= core["forwarding_tables.rs"].keys()
    assert "offload/mod.rs" in core["offload/checksum.rs"]
    assert circle(core) == []


def test_quotes_in_characters_and_raw_strings_hide_no_import_and_make_none(tmp_path: Path) -> None:
    files = {
        "lib.rs": "pub mod a;\npub mod b;\npub mod c;\n",
        "a.rs": "fn f<'a>(x: &'a u8, _: &'a str) -> bool { *x == b'\"' || *x == b'\\'' }\n"
        "use crate::b::B;\nconst Q: char = '\"';\n",
        "b.rs": 'const R: &str = r"\\";\nuse crate::c::C;\nconst S: &str = r#"a " quote"#;\n',
        "c.rs": 'const T: &str = r##"crate::a "# crate::b"##;\nconst U: &[u8] = br#"" crate::a"#;\n',
    }
    assert imports(crate(tmp_path, files)) == {"lib.rs": {}, "a.rs": {"b.rs": 2}, "b.rs": {"c.rs": 2}, "c.rs": {}}


def test_a_module_by_another_name_is_found(tmp_path: Path) -> None:
    files = {
        "lib.rs": "pub mod a;\nextern crate self as me;\n",
        "a.rs": "use crate as me;\nuse crate::b::{self as other, B as C};\nuse super as up;\n// use crate as none\n",
        "b.rs": 'const A: &str = "use crate as me";\nuse crate::a as the_other;\nfn f(self) -> u8 { self as u8 }\n',
    }
    assert renamed(crate(tmp_path, files)) == ["a.rs:1", "a.rs:2", "a.rs:3", "lib.rs:2"]


def test_no_module_of_the_crates_has_another_name() -> None:
    assert [line for source in ROOT.glob("crates/*/src") for line in renamed(source)] == []
