"""The kernels of the verify step say what the reference says, in Triton's interpreter where no GPU is."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import windows
from windows import assert_same

from proxyalign.decoding.backends import cuda
from proxyalign.decoding.backends.reference import Backend, DraftedWindow
from proxyalign.decoding.readers.contract import Both
from proxyalign.decoding.shaping import Shaping
from proxyalign.deferral import rules
from proxyalign.deferral.law import Law
from proxyalign.errors import InputError

pytest.importorskip("triton")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"  # conftest chooses the interpreter
RULES = [
    rules.Dual(0.02), rules.Dual(0.3), rules.Nudging(0.3), rules.Never(), rules.Always(), rules.Chow(0.7),
    rules.Gap(0.2), rules.MinP(0.1), rules.MinP(1.0, min_keep=0), rules.Epsilon(0.4), rules.Epsilon(0.4, min_keep=0),
]  # fmt: skip
SHAPES = [(3, 2, 37), (1, 5, 300), (1, 2, 1000), (3, 1, 512)]
KINDS = [(1.0, torch.float32), (0.7, torch.float32), (1.0, torch.bfloat16), (0.7, torch.bfloat16)]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """So that short rows have several."""
    monkeypatch.setattr(cuda, "BLOCK", 256)


def window(*settings, **more):
    """A window, its tensors where the kernels run."""
    logits, q, drafts, owed, u, n_before = windows.window(*settings, **more)
    law = Law(q.own.to(DEVICE), q.drawn.to(DEVICE), q.temperature)
    owed, n_before = (Both.of(given.host, torch.device(DEVICE)) for given in (owed, n_before))
    return logits.to(DEVICE), law, drafts.to(DEVICE), owed, u.to(DEVICE), n_before


def in_kernels(rule, logits, q, *others, rule_temperature=1.0):
    """The cycle that the kernels find."""
    given = DraftedWindow({}, [q], None, *others)
    return cuda.CudaBackend().examine_fused(rule, logits, given, rule_temperature)


def reference(rule, logits, q, drafts, owed, u, n_before, rule_temperature=1.0):
    """What the reference makes of the same window."""
    p = Law.of(logits.float(), q.temperature, rule_temperature)
    return Backend().examine(rule, p, q, None, None, drafts, owed, u, n_before)[0]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_cycle_is_the_references(rule):
    """Fails when a rule's set, the test, the residual, the bonus or what is owed differs in any kind of window."""
    first = RULES.index(rule)  # all shapes for each rule, and all kinds of laws; both together over the rules
    for at, shape in enumerate(SHAPES):
        given = window(shape, at, *KINDS[(first + at) % 4])
        assert_same(in_kernels(rule, *given), reference(rule, *given))


def test_many_windows_of_one_shape():
    """Fails in rarer turns of events: owed first drafts, bonuses that are kept or deferred, late rejections."""
    kinds = set()
    for seed in range(10):
        given = window((3, 2, 37), 1000 + seed, *KINDS[seed % 4], spread=1.0)
        found = in_kernels(rules.Dual(0.03), *given)
        assert_same(found, reference(rules.Dual(0.03), *given))
        kinds |= set(zip(found.n_passed.tolist(), found.is_owed.tolist(), given[3].host.tolist(), strict=True))
    assert {(n, is_owed) for n, is_owed, _ in kinds} == {(0, False), (1, False), (2, False), (2, True)}
    assert {was_owed for _, _, was_owed in kinds} == {False, True}


@pytest.mark.parametrize(("temperature", "rule_temperature"), [(0.0, 1.0), (1e-30, 1.0), (1.5, 0.5), (0.5, 0.5)])
def test_other_temperatures(temperature, rule_temperature):
    """Fails when the rule reads the law of the draws, or temperature 0 does not take the first argmax."""
    for rule in (rules.Dual(0.3), rules.Nudging(0.5)):
        for seed in range(2):
            given = window((2, 2, 300), seed, temperature)
            given[0][:, :, 270] = given[0][:, :, 20] = given[0].amax(-1)  # tied, and in different blocks
            found = in_kernels(rule, *given, rule_temperature=rule_temperature)
            assert_same(found, reference(rule, *given, rule_temperature=rule_temperature))


def test_slices_of_wider_logits_are_read_in_place():
    """Fails when strides are taken for the shape's: a model's logits may have more places and columns than are kept."""
    logits, *others = window((2, 3, 300), 7)
    wide = torch.full((2, 9, 330), math.nan, device=DEVICE)
    wide[:, -4:, :300] = logits
    assert_same(
        in_kernels(rules.Dual(0.1), wide[:, -4:, :300], *others),
        reference(rules.Dual(0.1), logits, *others),
    )


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # NumPy's, of the interpreter
@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("place", [0, 2])
def test_a_bad_number_anywhere_is_told_with_the_models_name(bad, place):
    """Fails when NaN or plus infinity in one column of one row goes unseen, or a row without a possible token does."""
    logits, q, *others = window((3, 2, 270), 3)
    broken = logits.clone()
    broken[1, place, 260] = bad
    with pytest.raises(InputError, match=r"the base must give finite logits, .* new token 2 on"):
        in_kernels(rules.Dual(0.1), broken, q, *others)
    broken[1, place] = -math.inf
    with pytest.raises(InputError, match=r"the base must give finite logits"):
        in_kernels(rules.Dual(0.1), broken, q, *others)
    own = q.own.clone()
    own[2, 1] = math.nan
    with pytest.raises(InputError, match=r"the proxy must give finite logits, .* new token 3 on"):
        in_kernels(rules.Dual(0.1), logits, Law(own, own), *others)


def test_forbidden_tokens_are_never_drawn():
    """Fails when a token of logit minus infinity is emitted, in whole blocks of them or at the ends of the interval."""
    logits, q, drafts, owed, u, n_before = window((1, 2, 600), 5)
    allowed = torch.zeros(600, dtype=torch.bool, device=DEVICE)
    allowed[[260, 300, 301, 590]] = True
    logits = logits.masked_fill(~allowed, -math.inf)
    q = Law.of(q.own.log().masked_fill(~allowed, -math.inf), 1.0)
    drafts = Backend().draw(q.drawn, u[:, :4:2])
    for last in (0.0, 0.3, 0.7, 1 - 2**-52):
        u[:, -1] = last
        for rule in (rules.Never(), rules.Dual(0.4)):
            found = in_kernels(rule, logits, q, drafts, owed, u, n_before)
            assert allowed.cpu()[found.final].all()
            assert_same(found, reference(rule, logits, q, drafts, owed, u, n_before))


def test_a_rejection_by_rounding_draws_from_pi():
    """Fails when a residual without any mass gives an arbitrary token: here q is above p everywhere, a little."""
    logits, _, _, _, u, n_before = window((3, 1, 300), 9)
    above = logits[:, :1].softmax(-1) * 1.001
    u[:, 1] = 1 - 2**-52
    given = (logits, Law(above, above), above.argmax(-1), Both.zeros(3, torch.bool, u.device), u, n_before)
    found = in_kernels(rules.Never(), *given)
    assert found.rejected.all()
    assert_same(found, reference(rules.Never(), *given))


COMPILE = """
import importlib.util, sys
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
spec = importlib.util.spec_from_file_location("kernels", sys.argv[1])
kernels = importlib.util.module_from_spec(spec)
spec.loader.exec_module(kernels)
pointers = dict.fromkeys(("partial", "statistics", "masses", "drawn_mass", "q_x", "q", "p_y"), "*fp32")
pointers |= {"logits": "*bf16", "drafts": "*i64", "outcome": "*i64", "owed": "*i1"}
pointers |= {"sums": "*fp64", "uniforms": "*fp64"}
constants = {"SAME": False, "GREEDY": False, "BLOCK": 4096, "BLOCKS": 64, "PLACES": 8}
for name in ("summarise", "weigh_deferred", "accept", "weigh_final", "draw_final"):
    kernel = getattr(kernels, name)
    types = {at: pointers.get(at, "fp32" if at in ("own_t", "drawn_t") else "i32") for at in kernel.arg_names}
    fixed = {at: constants[at] for at in kernel.arg_names if at in constants}
    source = ASTSource(kernel, types | dict.fromkeys(fixed, "constexpr"), fixed)
    options = {"num_warps": 8, "enable_fp_fusion": False}
    print(name, "fma.rn" in compile(source, target=GPUTarget("cuda", 90, 32), options=options).asm["ptx"])
"""


def test_the_kernels_compile_for_a_gpu_without_fused_products(tmp_path):
    """Fails when what the interpreter runs is no Triton that compiles, or rounding may differ between kernels."""
    path = Path(cuda.__file__).with_name("cuda_kernels.py")
    environment = os.environ | {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", COMPILE, path], env=environment, capture_output=True, text=True)
    assert run.stdout.split()[1::2] == ["False"] * 5, run.stderr


def test_the_law_is_pi_on_a_grid_of_uniform_numbers():
    """Fails when draft, test and residual together do not give pi: all drafts at 8 tests each, and 20 draws, V = 5."""
    p = torch.tensor([0.4, 0.05, 0.3, 0.2, 0.05])
    q = torch.tensor([0.1, 0.3, 0.2, 0.15, 0.25])
    rule, n_tests, n_draws = rules.Dual(0.15), 8, 20
    tests = (torch.arange(n_tests, dtype=torch.float64) + 0.5) / n_tests
    draws = (torch.arange(n_draws, dtype=torch.float64) + 0.5) / n_draws
    # First each draft at all tests; then one that is rejected (its pi is below q), at all draws.
    drafts = torch.cat([torch.arange(5).repeat_interleave(n_tests), torch.full((n_draws,), 4)]).to(DEVICE)
    n = len(drafts)
    u = torch.full((n, 3), 1 - 2.0**-52, dtype=torch.float64)
    u[: 5 * n_tests, 1], u[5 * n_tests :, 2] = tests.repeat(5), draws
    law = q.to(DEVICE).expand(n, 1, 5)
    where = u.to(DEVICE).device
    nobody, nothing = Both.zeros(n, torch.bool, where), Both.zeros(n, torch.int64, where)
    logits = p.log().to(DEVICE).expand(n, 2, 5)
    found = in_kernels(rule, logits, Law(law, law), drafts[:, None], nobody, u.to(DEVICE), nothing)
    accepted = ~found.rejected[: 5 * n_tests].reshape(5, n_tests)
    assert found.rejected[5 * n_tests :].all()
    residual = np.bincount(found.final[5 * n_tests :], minlength=5) / n_draws
    stays = q.numpy() * accepted.mean(1)
    # A rate is off by at most half a step of its grid.
    np.testing.assert_allclose(stays + (1 - stays.sum()) * residual, rule.target(p, q).numpy(), atol=0.5 / n_tests)


def plain(temperature=1.0, rule_temperature=1.0):
    """Logits as they are, at these temperatures."""
    return Shaping(temperature, rule_temperature, bias=None, ends=(), min_new_tokens=0, truncations={})


def test_what_is_not_covered_is_refused():
    """Fails when a rule that is no threshold on p, or a dtype that would lose digits, gets an answer."""
    logits, *others = window((1, 1, 20), 1)
    for rule in (rules.Primal(0.2), rules.Exact(0.2), rules.EntropyGate(1.0), rules.ConfidenceBet(0.1)):
        assert not cuda.covers(rule, torch.float32, plain())
        with pytest.raises(InputError, match="threshold on p"):
            in_kernels(rule, logits, *others)
    assert not cuda.covers(rules.Dual(0.2), torch.float64, plain())
    assert not cuda.covers(rules.Dual(0.2), torch.float32, plain(temperature=1e-46))
    assert not cuda.covers(rules.Dual(0.2), torch.float32, plain(rule_temperature=0.0))
    assert cuda.covers(rules.Dual(0.2), torch.float32, plain(temperature=0.0))


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_threshold_gives_the_rules_own_set(rule):
    """Fails when a threshold and a rule part ways on ties, at the largest p, or where float32 rounds alpha."""
    p = torch.tensor(
        [
            [0.4, 0.4, 0.2, 0.0],
            [0.3, 0.3, 0.3, 0.1],
            [0.02, 0.98, 0.0, 0.0],
            [1.0, 0, 0, 0],
            [0.25] * 4,
            [0.7, 0.1, 0.2, 0],
        ]
    )
    bound = rule.threshold(p.amax(-1))
    assert torch.equal(p < bound.unsqueeze(-1), rule.defer(p))
