"""The part of the control API that is about algo orders, spreads, RFQs, quotes, bots and copied traders."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Final

from bulk_cancel.worker.simulator.algos import FIELDS, Algo, AlgoBehaviour
from bulk_cancel.worker.simulator.control_bodies import filters, named, read, stream
from bulk_cancel.worker.simulator.exchange import Exchange
from bulk_cancel.worker.simulator.messages import AlgoState, FireAlgos, PlaceAlgos, PlaceProducts, ProductState
from bulk_cancel.worker.simulator.products import Product, ProductBehaviour
from bulk_cancel.worker.simulator.wire import Request, Stream

_ALGO_FILTERS: Final = ("algoId", "algoClOrdId", "uid", "instId", "ordType", "state", "parent")
_PRODUCT_FILTERS: Final = ("id", "kind", "uid", "inst", "state")

Routes = Mapping[tuple[str, str], Callable[[Request], object]]


def beyond_routes(exchange: Exchange, now_us: Callable[[], int]) -> Routes:
    """The routes of this part; `now_us` is when the present request came."""
    beyond = _Beyond(exchange, now_us)
    return {
        ("POST", "algos"): beyond.place_algos,
        ("GET", "algos"): beyond.algos,
        ("POST", "algos/fire"): beyond.fire,
        ("PUT", "algos/behaviour"): beyond.set_algo_behaviour,
        ("POST", "products"): beyond.place_products,
        ("GET", "products"): beyond.products,
        ("PUT", "products/behaviour"): beyond.set_product_behaviour,
    }


class _Beyond:
    def __init__(self, exchange: Exchange, now_us: Callable[[], int]) -> None:
        self._exchange = exchange
        self._now_us = now_us

    def place_algos(self, request: Request) -> dict[str, list[str]]:
        wanted = read(PlaceAlgos, request)
        listed = named(self._exchange.book.instruments, wanted.instId, "instrument")
        fields = {name: value for name, value in asdict(wanted).items() if name in FIELDS}
        placed_us = self._now_us() - round(wanted.age_s * 1e6)
        place = self._exchange.algos.place
        placed = [place(wanted.uid, listed, wanted.ordType, placed_us, fields) for _ in range(wanted.count)]
        return {"algoIds": [algo.algoId for algo in placed]}

    def algos(self, request: Request) -> Stream:
        wanted = filters(request, _ALGO_FILTERS)
        every = [self._algo(algo) for algo in self._exchange.algos.all.values()]
        return stream(row for row in map(asdict, every) if _fits(row, wanted))

    def fire(self, request: Request) -> None:
        algos = self._exchange.algos
        for algo in [named(algos.all, algo_id, "algo order") for algo_id in read(FireAlgos, request).algoIds]:
            algos.fire(algo, self._now_us())

    def set_algo_behaviour(self, request: Request) -> None:
        self._exchange.algos.behaviour = read(AlgoBehaviour, request)

    def place_products(self, request: Request) -> dict[str, list[str]]:
        wanted, now_us = read(PlaceProducts, request), self._now_us()
        place = self._exchange.products.place
        placed = [
            place(
                wanted.uid,
                wanted.kind,
                wanted.inst,
                now_us,
                state=wanted.state,
                fields=wanted.fields,
                others=wanted.others,
            )
            for _ in range(wanted.count)
        ]
        return {"ids": [each.id for each in placed]}

    def products(self, request: Request) -> Stream:
        wanted = filters(request, _PRODUCT_FILTERS)
        every = (asdict(_product(each)) for each in tuple(self._exchange.products.all.values()))
        return stream(row for row in every if _fits(row, wanted))

    def set_product_behaviour(self, request: Request) -> None:
        self._exchange.products.behaviour = read(ProductBehaviour, request)

    def _algo(self, algo: Algo) -> AlgoState:
        return AlgoState(
            algoId=algo.algoId,
            algoClOrdId=algo.algoClOrdId,
            uid=algo.uid,
            instId=algo.instrument.instId,
            ordType=algo.ordType,
            state=algo.state,
            parent=algo.parent,
            ordIds=tuple(algo.ordIds),
            algoIds=tuple(algo.algoIds),
            cancels=self._exchange.log.cancels[algo.algoId],
        )


def _product(each: Product) -> ProductState:
    return ProductState(each.id, each.kind, each.uid, each.inst, each.state, each.traded, each.others)


def _fits(row: Mapping[str, object], wanted: Mapping[str, str]) -> bool:
    return all(row[name] == value for name, value in wanted.items())
