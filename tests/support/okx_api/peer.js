// Lists, cancels and watches on the exchange whose addresses it is told, and prints what it saw as JSON, a line each.
const { RestClient, WebsocketClient } = require("okx-api");

const { REST_URL, WS_URL, API_KEY, API_SECRET, API_PASS } = process.env;
const keys = { apiKey: API_KEY, apiSecret: API_SECRET, apiPass: API_PASS };
const tell = (what) => console.log(JSON.stringify(what));

async function main() {
  const rest = new RestClient({ ...keys, baseUrl: REST_URL });
  const socket = new WebsocketClient({ accounts: [keys], wsUrl: WS_URL }, { trace() {}, info() {}, error: console.error });
  const pushed = new Promise((resolve) => socket.on("update", (push) => push.data[0].state === "canceled" && resolve(push)));
  const subscribed = new Promise((resolve) => socket.on("response", (said) => said.event === "subscribe" && resolve()));
  socket.subscribe({ channel: "orders", instType: "ANY" });
  await subscribed;
  const [first, ...others] = await rest.getOrderList({ instType: "SPOT" });
  tell({ listed: [first, ...others].map((order) => order.ordId) });
  const [canceled] = await rest.cancelOrder({ instId: first.instId, ordId: first.ordId });
  tell({ canceled: canceled.sCode });
  tell({ pushed: (await pushed).data[0].ordId });
  const many = await rest.cancelMultipleOrders(others.map(({ instId, ordId }) => ({ instId, ordId })));
  tell({ batch: many.map((each) => each.sCode) });
  socket.closeAll();
}

main().catch((error) => { console.error(error); process.exit(1); });
