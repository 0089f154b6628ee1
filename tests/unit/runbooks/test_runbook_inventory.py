"""Which hosts and groups an inventory's files say that there are."""

from pathlib import Path

import pytest

from connectors.runbook.inventory import known_names

ALWAYS = frozenset({"all", "ungrouped"})
INI = """\
alone.example.org ansible_user=x
# [not_a_group]
[web]
web-[01:03].example.org ansible_port=22
[web:vars]
colour=blue
[both:children]
web
db  ; and a comment
[db]
db-1
"""
YAML = """\
web: {hosts: {"web-[8:10]": {port: 1}}, vars: {colour: blue}}
both: {children: {web: , db: {hosts: {db-1: }}}}
"""


def _written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_ini_yaml_and_json_say_their_hosts_and_groups(tmp_path: Path) -> None:
    ini = _written(tmp_path, "hosts", INI)
    of_web = {f"web-0{number}.example.org" for number in (1, 2, 3)}
    assert known_names([ini]) == ALWAYS | of_web | {"alone.example.org", "web", "both", "db", "db-1"}
    yaml = _written(tmp_path, "hosts.yml", YAML)
    assert known_names([yaml]) == ALWAYS | {"web", "web-8", "web-9", "web-10", "both", "db", "db-1"}
    json = _written(tmp_path, "hosts.json", '{"all": {"children": {"here": {"hosts": {"one": {}}}}}}')
    assert known_names([json]) == ALWAYS | {"here", "one"}
    assert known_names([json, ini]) == ALWAYS | of_web | {
        "alone.example.org",
        "web",
        "both",
        "db",
        "db-1",
        "here",
        "one",
    }


def test_a_folder_is_all_its_files_but_those_ansible_passes_over(tmp_path: Path) -> None:
    _written(tmp_path, "a.yml", "web: {hosts: {one: }}")
    _written(tmp_path, "more/b.yml", "db: {hosts: {two: }}")
    _written(tmp_path, "README.md", "[no group")
    _written(tmp_path, ".hidden", "[no group")
    _written(tmp_path, "group_vars/web.yml", "plugin: x")
    assert known_names([tmp_path]) == ALWAYS | {"web", "one", "db", "two"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("aws_ec2.yml", "plugin: amazon.aws.aws_ec2"),
        ("hosts.yml", "$ANSIBLE_VAULT;1.1;AES256\n6162\n"),
        ("hosts.yml", "{torn: ["),
        ("hosts.yml", "[a, list]"),
        ("hosts", "$ANSIBLE_VAULT;1.1;AES256\n6162\n"),
        ("hosts", "[torn"),
        ("hosts", "web-[a:f]"),
        ("hosts", "web-[1:99999999]"),
        ("hosts", "web-1:2222"),
    ],
)
def test_what_only_ansible_or_others_know_cannot_be_told(tmp_path: Path, name: str, text: str) -> None:
    static = _written(tmp_path, "static.yml", "web: {hosts: {one: }}")
    assert known_names([static, _written(tmp_path, name, text)]) is None


def test_a_script_a_missing_file_and_no_inventory_cannot_be_told(tmp_path: Path) -> None:
    script = _written(tmp_path, "hosts.sh", "#!/bin/sh\necho {}\n")
    script.chmod(0o755)
    assert known_names([script]) is None
    assert known_names([tmp_path / "missing.yml"]) is None
    assert known_names([]) is None


def test_an_inventory_that_changes_is_read_anew(tmp_path: Path) -> None:
    file = _written(tmp_path, "hosts.yml", "web: {hosts: {one: }}")
    before = known_names([file])
    _written(tmp_path, "hosts.yml", "database: {hosts: {two: }}")
    assert before == ALWAYS | {"web", "one"}
    assert known_names([file]) == ALWAYS | {"database", "two"}
