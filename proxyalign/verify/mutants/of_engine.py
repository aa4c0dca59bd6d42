"""Mutants of the engine that decodes: its draws, the tests of each backend, the cycle, and the roll-back after it."""

from proxyalign.verify.mutants.mutation import Mutant

_REFERENCE = "decoding.backends.reference:Backend.test"
_KERNEL = "decoding.backends.processor_kernels:test_rows"

ENGINE_MUTANTS: tuple[Mutant, ...] = (
    # The test of a draft, in torch's operations and compiled.
    Mutant("test: accepts on r <= a", (10,), _REFERENCE, "* q_x < pi_x  #", "* q_x <= pi_x  #"),
    Mutant("test: accepts on r <= a, compiled", (10,), _KERNEL, "* q_x < pi_x  #", "* q_x <= pi_x  #"),
    Mutant("test: q / pi for pi / q", (10,), _REFERENCE, "* q_x < pi_x  #", "* pi_x < q_x  #"),
    Mutant("test: q / pi for pi / q, compiled", (10,), _KERNEL, "* q_x < pi_x  #", "* pi_x < q_x  #"),
    Mutant("test: every draft passes", (10,), _KERNEL, "if not (passes or", "if not (True or"),
    Mutant("test: a uniform used twice", (10, 11), _REFERENCE, "u[:, 1 : 2", "u[:, 0 : 2"),
    Mutant("test: a uniform used twice, compiled", (10, 11), _KERNEL, "u[row, 2 * place + 1]", "u[row, 2 * place]"),
    Mutant("test: a uniform used twice, for the last draw", (10, 11), _KERNEL,
           "deferred[row, place], spent, u[row, -1])", "deferred[row, place], spent, u[row, 2 * place + 1])"),
    Mutant("test: q of the neighbouring row", (10,), "decoding.sampling:at_tokens",
           "rows.gather(-1,", "rows.roll(1, 0).gather(-1,"),
    Mutant("test: q of the neighbouring row, compiled", (10,), _KERNEL,
           "np.float64(q[row, place, token])", "np.float64(q[row - 1, place, token])"),
    Mutant("test: D of the draft before", (11,), _REFERENCE, "drawn_mass[:, :n_drafts] * q_x",
           "drawn_mass.roll(1, 1)[:, :n_drafts] * q_x"),
    # The token after the accepted drafts.
    Mutant("residual: of the draft before", (11,), "decoding.backends.reference:_next_weights",
           "n_passed.clamp(max=n_drafts - 1)", "(n_passed - 1).clamp(min=0, max=n_drafts - 1)"),
    Mutant("residual: of the draft before, compiled", (11,), _KERNEL,
           "_replacement(first[row, place], q[row, place]",
           "_replacement(first[row, max(0, place - 1)], q[row, max(0, place - 1)]"),
    Mutant("residual: not renormalised, compiled", (10,), "decoding.backends.processor_kernels:_replacement",
           "block = _block_of(sums, u * total)\n    here = slice(block * _BLOCK, min((block + 1) * _BLOCK, len(p)))\n"
           "    _excess(p[here], q[here], deferred[here], mass, weights)\n"
           "    before = sums[block - 1] if block else 0.0\n"
           "    return here.start + _token_of(weights[: here.stop - here.start], u * total - before)",
           "block = _block_of(sums, u)\n    here = slice(block * _BLOCK, min((block + 1) * _BLOCK, len(p)))\n"
           "    _excess(p[here], q[here], deferred[here], mass, weights)\n"
           "    before = sums[block - 1] if block else 0.0\n"
           "    return here.start + _token_of(weights[: here.stop - here.start], u - before)"),
    Mutant("bonus: the draft's law for the base's", (11,), "decoding.backends.reference:_next_weights",
           "first[:, -1:])", "q[:, -1:])"),
    # What a cycle comes to.
    Mutant("bonus: emitted though deferred", (11,), "decoding.cycle:Cycle.of",
           "is_open = is_owed if has_bonus", "is_open = np.zeros_like(rejected) if has_bonus"),
    Mutant("bonus: never owed", (11,), "decoding.cycle:Cycle.of",
           "is_owed = ~rejected & tested.thrown.any(1)", "is_owed = ~rejected & False"),
    Mutant("owed: the draft is tested", (11,), _REFERENCE, "if owed.host.any():", "if False:"),
    Mutant("owed: the draft is tested, compiled", (11,), _KERNEL, "(place == 0 and owed[row])", "False"),
    Mutant("count: a window cut by a text's end is a rejection", (11, 10), "decoding.cycle:Cycle.drafts",
           "(self.rejected & (n_emitted > self.n_passed))", "self.rejected"),
    Mutant("count: an owed draft is an accepted one", (11,), "decoding.cycle:Cycle.drafts", " - was_owed", ""),
    # What is taken back, and what goes on.
    Mutant("roll-back: the proxy is not rewound", (10, 11), "decoding.speculative:_roll_back",
           "(n_drafts - 1 - passed).clip(min=0)", "0 * passed"),
    Mutant("roll-back: the base is not rewound", (10, 11), "decoding.speculative:Verifier.roll_back",
           "lambda passed: n_drafts - passed", "lambda passed: 0 * passed"),
    Mutant("roll-back: the last draft is never read", (10, 11), "decoding.speculative:_roll_back",
           "proxy.push(last, closes)", "closes"),
    Mutant("draft: a uniform used twice", (10, 11), "decoding.speculative:_draft",
           "u[:, 2 * i : 2 * i + 1]", "u[:, 2 * i + 1 : 2 * i + 2]"),
    Mutant("hybrid: its state advanced by a rejected draft", (15,), "decoding.speculative:_decode",
           "states[torch.arange(len(states), device=states.device), n_new.device]", "states[:, -1]"),
    Mutant("reference: its law for the proxy's", (10,), "decoding.backends.reference:Backend.examine",
           "None if has_bonus else q, of", "None if has_bonus else of_reference or q, of"),
)  # fmt: skip
