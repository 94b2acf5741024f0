"""The client with which tests, the demo and drills steer the simulated exchange and read its log."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import requests
from pydantic import TypeAdapter

from bulk_cancel.worker.simulator.accounts import ApiKey
from bulk_cancel.worker.simulator.algos import AlgoBehaviour
from bulk_cancel.worker.simulator.book import Behaviour
from bulk_cancel.worker.simulator.faults import Fault, ItemCode, Network, Step
from bulk_cancel.worker.simulator.log import Arrival
from bulk_cancel.worker.simulator.messages import (
    AccountChange,
    AlgoState,
    ChannelFault,
    ClockOffset,
    EndOrders,
    FireAlgos,
    OrderState,
    PlaceAlgos,
    PlaceOrders,
    PlaceProducts,
    ProductState,
    RefuseConnections,
    Script,
    Summary,
)
from bulk_cancel.worker.simulator.meters import Limits
from bulk_cancel.worker.simulator.products import ProductBehaviour

T = TypeVar("T")
_TIMEOUT_S = 30.0


class ControlError(Exception):
    """The simulator refused a control request; the text says why."""


class ControlClient:
    """Typed calls to the control API of the simulator at `url`. Not for use from several threads at once."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def put_account(self, key: ApiKey) -> None:
        """Add an API key, or replace the one of the same name."""
        self._send("PUT", "accounts", ApiKey, key)

    def change_account(self, change: AccountChange) -> None:
        """Change some properties of an API key, e.g. revoke it or take its address off the allow-list."""
        self._send("POST", "accounts/change", AccountChange, change)

    def list_instruments(self, inst_ids: Sequence[str]) -> None:
        """List more instruments."""
        self._send("POST", "instruments", tuple[str, ...], tuple(inst_ids))

    def place(self, uid: str, inst_id: str, count: int = 1, *, prefix: str = "") -> list[str]:
        """Put plain orders on the book; their ordIds, ascending."""
        return self.place_orders(PlaceOrders(uid, inst_id, count, prefix))

    def place_orders(self, wanted: PlaceOrders) -> list[str]:
        """Put orders on the book; their ordIds, ascending."""
        body = self._send("POST", "orders", PlaceOrders, wanted)
        return TypeAdapter(dict[str, list[str]]).validate_json(body)["ordIds"]

    def end_orders(self, wanted: EndOrders) -> None:
        """Fill orders, or have them cancelled by somebody else."""
        self._send("POST", "orders/end", EndOrders, wanted)

    def orders(self, **filters: str) -> Iterator[OrderState]:
        """The orders that the exchange knows, oldest first; filters: uid, instId, state, ordId."""
        return self._lines("orders", OrderState, filters)

    def order(self, order_id: str) -> OrderState | None:
        """One order by ordId; None if unknown or forgotten."""
        return next(iter(list(self.orders(ordId=order_id))), None)

    def place_algos(self, wanted: PlaceAlgos) -> list[str]:
        """Put algo orders on; their algoIds, ascending."""
        body = self._send("POST", "algos", PlaceAlgos, wanted)
        return TypeAdapter(dict[str, list[str]]).validate_json(body)["algoIds"]

    def algos(self, **filters: str) -> Iterator[AlgoState]:
        """The algo orders that the exchange knows, oldest first; filters are texts of AlgoState."""
        return self._lines("algos", AlgoState, filters)

    def fire_algos(self, algo_ids: Iterable[str]) -> None:
        """Their prices are met now."""
        self._send("POST", "algos/fire", FireAlgos, FireAlgos(tuple(algo_ids)))

    def set_algo_behaviour(self, behaviour: AlgoBehaviour) -> None:
        """Set how algo orders behave."""
        self._send("PUT", "algos/behaviour", AlgoBehaviour, behaviour)

    def place_products(self, wanted: PlaceProducts) -> list[str]:
        """Put spread orders, RFQs, quotes, bots or copied traders on; their ids, ascending."""
        body = self._send("POST", "products", PlaceProducts, wanted)
        return TypeAdapter(dict[str, list[str]]).validate_json(body)["ids"]

    def products(self, **filters: str) -> Iterator[ProductState]:
        """Those that the exchange knows, oldest first; filters are texts of ProductState."""
        return self._lines("products", ProductState, filters)

    def set_product_behaviour(self, behaviour: ProductBehaviour) -> None:
        """Set how products behave, and which are not available."""
        self._send("PUT", "products/behaviour", ProductBehaviour, behaviour)

    def set_network(self, network: Network) -> None:
        """Set the delay of both ways."""
        self._send("PUT", "network", Network, network)

    def set_limits(self, limits: Limits) -> None:
        """Set the limits of all meters; what arrived before still counts."""
        self._send("PUT", "limits", Limits, limits)

    def set_behaviour(self, behaviour: Behaviour) -> None:
        """Set how the book treats cancels."""
        self._send("PUT", "behaviour", Behaviour, behaviour)

    def set_clock_offset(self, offset_s: float) -> None:
        """Shift the exchange's wall clock (public/time, timestamp tolerance)."""
        self._send("PUT", "clock", ClockOffset, ClockOffset(offset_s))

    def add_fault(self, fault: Fault) -> int:
        """Switch a fault on; the id is for `remove_fault`."""
        body = self._send("POST", "faults", Fault, fault)
        return TypeAdapter(dict[str, int]).validate_json(body)["id"]

    def remove_fault(self, number: int | None = None) -> None:
        """Switch one fault off, or all; answers held back stay so until `release`."""
        self._call("DELETE", "faults" if number is None else f"faults?id={number}")

    def script(self, order_id: str, steps: Iterable[Step | str]) -> None:
        """Script an order's next answers: sCodes as text, `ItemCode`s, or `Fault`s as whole answers."""
        read = tuple(ItemCode(step) if isinstance(step, str) else step for step in steps)
        self._send("PUT", "scripts", Script, Script(order_id, read))

    def clear_scripts(self) -> None:
        """Forget all scripts."""
        self._call("DELETE", "scripts")

    def release(self) -> int:
        """Send all answers that `hang` faults hold back; says how many."""
        return TypeAdapter(dict[str, int]).validate_json(self._call("POST", "release"))["released"]

    def refuse_connections(self, for_s: float, *, drop: bool = True) -> None:
        """Close the listener for a while; `drop` also resets connected clients, never control connections."""
        self._send("POST", "refuse-connections", RefuseConnections, RefuseConnections(for_s, drop))

    def accept_connections(self) -> None:
        """End `refuse_connections` before its time."""
        self._call("POST", "accept-connections")

    def drop_channels(self, refuse_for_s: float = 0.0) -> int:
        """Reset every private channel and refuse new ones for a while; says how many there were."""
        return self._fault_channels(ChannelFault("drop", refuse_for_s))

    def hold_channels(self, for_s: float) -> int:
        """Say nothing over the private channels for a while (0: from now on all, at once); says how many are open."""
        return self._fault_channels(ChannelFault("hold", for_s))

    def lose_pushes(self, for_s: float) -> int:
        """Forget what should be pushed for a while (0: push again); says how many channels are open."""
        return self._fault_channels(ChannelFault("lose", for_s))

    def announce_upgrade(self) -> int:
        """Tell every private channel that it will soon be closed; says how many there are."""
        return self._fault_channels(ChannelFault("notice"))

    def log(self, **filters: str) -> Iterator[Arrival]:
        """Arrivals, oldest first; filters: uid, endpoint, meter, instId, ordId, code, refused, since_us."""
        return self._lines("log", Arrival, filters)

    def reset_log(self) -> None:
        """Forget all arrivals; the meters go on."""
        self._call("DELETE", "log")

    def summary(self) -> Summary:
        """What arrived per meter, and what is still on the book."""
        return TypeAdapter(Summary).validate_json(self._call("GET", "summary"))

    def reset(self) -> None:
        """Forget orders, faults, scripts, meters and log; keys, limits, network and behaviour stay."""
        self._call("POST", "reset")

    def shutdown(self) -> None:
        """End the simulator."""
        self._call("POST", "shutdown")

    def _fault_channels(self, fault: ChannelFault) -> int:
        body = self._send("POST", "channels", ChannelFault, fault)
        return TypeAdapter(dict[str, int]).validate_json(body)["open"]

    def _send(self, method: str, path: str, kind: type[T], value: T) -> bytes:
        return self._call(method, path, TypeAdapter(kind).dump_json(value))

    def _call(self, method: str, path: str, body: bytes = b"") -> bytes:
        answer = self._session.request(method, f"{self.url}/control/{path}", data=body, timeout=_TIMEOUT_S)
        if answer.status_code != requests.codes.ok:
            raise ControlError(f"{method} {path}: {answer.text}")
        return answer.content

    def _lines(self, path: str, kind: type[T], filters: dict[str, str]) -> Iterator[T]:
        adapter = TypeAdapter(kind)
        url = f"{self.url}/control/{path}"
        with requests.get(url, params=filters, stream=True, timeout=_TIMEOUT_S) as answer:
            if answer.status_code != requests.codes.ok:
                raise ControlError(f"GET {path}: {answer.text}")
            yield from (adapter.validate_json(line) for line in answer.iter_lines() if line)
