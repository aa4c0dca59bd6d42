"""The pair that ships, loaded once for what is served of it."""

import pytest


@pytest.fixture(scope="session")
def lab():
    import proxyalign as pa

    return pa.load_pair("lab")
