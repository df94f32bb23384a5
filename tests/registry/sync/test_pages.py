"""Dividing the registry into ranges of update days."""

from trialtune.registry.settings import ClientSettings, SyncRequest
from trialtune.registry.sync.client import RegistryClient
from trialtune.registry.sync.pages import Walker, range_walks
from trialtune.registry.sync.state import SyncFolder


class DeafClient(RegistryClient):
    """As if the server ignored the range of days."""

    def count(self, params):
        return super().count({name: value for name, value in params.items() if name != "filter.advanced"})


def test_ranges_cover_the_registry_and_a_server_that_ignores_them_gets_one(registry_server, tmp_path):
    studies = registry_server.made_up_studies(120)
    with registry_server.serving(studies) as (url, _):
        request = SyncRequest(base_url=url)
        folder = SyncFolder.open(tmp_path / "sync", request)

        def walks_of(kind):
            with kind(url, ClientSettings(rate=0)) as client:
                walker = Walker(client, folder, request, 10, lambda count: None)
                walks = range_walks(walker, "studies", None, pages=3)
                return walks, [client.count(walker.params(walk)) for walk in walks], client.requests

        walks, totals, _ = walks_of(RegistryClient)
        assert len(walks) > 1
        assert sum(totals) == len(studies)
        assert (walks[0].first, walks[-1].last) == ("MIN", "MAX")
        walks, totals, requests = walks_of(DeafClient)
        assert totals == [len(studies)]
        assert requests <= 6
