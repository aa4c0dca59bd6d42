"""The grid is cut into jobs that a cluster can take, and the profiles for clusters ask for what the jobs need."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from analysis.jobs import jobs, runs, settings
from analysis.profile import check

ROOT = Path(__file__).parent.parent.parent
CLUSTERS = ROOT / "analysis" / "profiles"
OF_A_PLUGIN = ("executor", "kubernetes-", "default-storage-")


def profile(**others):
    grids = {"one": {"split": "test", "mode": "autoregressive", "rules": {"never": [], "dual": [0.2, 0.4]}}}
    whole = {
        "name": "never_run", "pair": "lab", "tasks": ["lab-facts", "lab-math"], "seed": 1, "n_resamples": 20,
        "n_questions": {"test": 6}, "batch_size": 2, "grids": grids,
    } | others  # fmt: skip
    check(whole)
    return whole


def planned(tmp_path, whole, *arguments):
    """How many jobs of each rule a dry run plans."""
    (tmp_path / "profile.json").write_text(json.dumps(whole))
    command = [sys.executable, "-m", "snakemake", "-s", "analysis/Snakefile", "--dry-run", *arguments]
    command += ["--configfile", tmp_path / "profile.json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = [line.split() for line in (done.stdout + done.stderr).splitlines()]
    return {line[0]: int(line[1]) for line in told if len(line) == 2 and line[1].isdigit()}


def test_a_run_s_job_is_the_same_whatever_stands_beside_it():
    """Fails where one edited setting of a rule runs another rule's job again."""
    before, after = profile(), profile()
    after["grids"]["one"]["rules"] = {"primal": [0.5], "never": [], "dual": [0.3, 0.4]}
    there, here = ({name: settings(p, job) for name, job in jobs(p).items()} for p in (before, after))
    asked = ("one_lab-facts", "one_lab-math")
    assert list(there) == [f"{one}_{rule}" for one in asked for rule in ("never", "dual-alpha0.2", "dual-alpha0.4")]
    same = {f"{one}_{rule}" for one in asked for rule in ("never", "dual-alpha0.4")}
    assert {name for name in there if here.get(name) == there[name]} == same


def test_the_jobs_are_all_runs_each_once():
    """Fails where cutting a profile into jobs loses a run, decodes one twice, or two jobs write one file."""
    for size in (1, 2, 4, 9):
        whole = profile(runs_per_job=size)
        found = jobs(whole)
        assert [run for job in found.values() for run in job] == runs(whole)
        assert max(map(len, found.values())) <= size
    told = [(run.grid, run.task, run.rule.name) for run in runs(profile())]
    assert told == [("one", task, rule) for task in ("lab-facts", "lab-math") for rule in ("never", "dual", "dual")]


def test_a_job_has_rules_of_one_module():
    """Fails where an edit of one rule's file changes what was decoded of another's, which is then solved again."""
    rules = {"never": [], "nudging": [0.4], "truncated-dual": [0.2], "dual": [0.2], "chow": [0.4]}
    whole = profile(runs_per_job=9, grids={"one": {"split": "test", "mode": "autoregressive", "rules": rules}})
    found = [{run.rule.name for run in job} for job in jobs(whole).values()]
    assert found == [{"never", "dual"}, {"nudging", "chow"}, {"truncated-dual"}]


def test_each_run_task_and_shard_is_one_job_and_shards_are_merged(tmp_path):
    """Fails where a cluster would get one long job for a grid, or a run cut into shards is never put together."""
    assert planned(tmp_path, profile(), "--cores", "1")["decode"] == 3 * 2
    found = planned(tmp_path, profile(shards=3), "--cores", "1")
    assert (found["decode"], found["merge_shards"], found["tabulate"]) == (3 * 2 * 3, 3 * 2, 1)


@pytest.mark.parametrize("cluster", ["slurm", "kubernetes"])
def test_a_cluster_s_profile_is_one_that_snakemake_takes(tmp_path, cluster):
    """Fails for an option that Snakemake does not have, or a profile that asks nothing for a decoding job.

    What belongs to the executor's own package, which need not be installed, is left out.
    """
    told = yaml.safe_load((CLUSTERS / cluster / "config.yaml").read_text())
    assert told["executor"] == cluster
    assert told["set-resources"]["decode"]["gpu"] == 1
    assert told["set-threads"]["decode"] > 1
    plain = {name: value for name, value in told.items() if not name.startswith(OF_A_PLUGIN)}
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "config.yaml").write_text(yaml.safe_dump(plain))
    records = f"records={tmp_path / 'records'}"
    options = ("--profile", tmp_path / "plain", "--executor", "local", "--cores", "8", "--config", "shards=2", records)
    assert planned(tmp_path, profile(), *options)["decode"] == 3 * 2 * 2
