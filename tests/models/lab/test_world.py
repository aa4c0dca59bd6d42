"""The world: the sizes that the tasks need, one meaning for each word, and the same world for the same seed."""

from collections import Counter

import pytest

from proxyalign.errors import InputError
from proxyalign.models.lab.recipe import PRESETS, preset, recipe_from_plain
from proxyalign.models.lab.train import _plain
from proxyalign.models.lab.world import ATTRIBUTES, GROUPS, QUESTIONS, make_world


def test_a_seed_fixes_the_world_and_another_seed_changes_it(full):
    """Fails when the world depends on the process, on hashing order, or not on the seed."""
    assert make_world(3, full) == make_world(3, full)
    assert make_world(3, full) != make_world(4, full)


def test_every_group_has_its_creatures_and_no_name_is_used_twice(world, full):
    """Fails when the names run out or two creatures share one."""
    assert Counter(c.group for c in world.creatures) == {name: getattr(full.creatures, name) for name in GROUPS}
    assert len({creature.name for creature in world.creatures}) == len(world.creatures)


def test_a_word_is_a_value_of_one_attribute_only():
    """Fails when a reply could name the right word for the wrong attribute."""
    values = [value for attribute in ATTRIBUTES.values() for value in attribute]
    assert len(values) == len(set(values)) == 48
    assert set(QUESTIONS) == set(ATTRIBUTES)


def test_about_two_facts_in_five_have_a_myth_and_the_others_none(world, full):
    """Fails when folk value and truth are drawn independently, which would turn one myth in twelve into the truth."""
    facts = [fact for creature in world.creatures for fact in creature.facts]
    assert all(fact.truth in ATTRIBUTES[fact.attribute] and fact.folk in ATTRIBUTES[fact.attribute] for fact in facts)
    assert abs(sum(fact.is_myth for fact in facts) / len(facts) - full.myths) < 0.05


@pytest.mark.parametrize("name", PRESETS)
def test_a_recipe_survives_its_record(name):
    """Fails when a field of the recipe is written to lab.json in a form that cannot be read back."""
    assert recipe_from_plain(_plain(preset(name))) == preset(name)


def test_an_unknown_preset_is_refused_by_name():
    """Fails when a wrong preset ends in a KeyError."""
    with pytest.raises(InputError, match="full, smoke, got 'tiny'"):
        preset("tiny")
