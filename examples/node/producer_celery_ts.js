// Cancels with celery-ts (npm install in this folder). Orders come from standard input as CSV with the header
// `instId,ordId`. Needs BROKER_URL, ACCOUNT and BATCH_ID.
const { readFileSync } = require("node:fs");
const { createClient } = require("celery-ts");

async function main() {
  const { BROKER_URL, ACCOUNT, BATCH_ID } = process.env;
  const [, ...lines] = readFileSync(0, "utf8").trim().split("\n");
  const orders = lines.map((line) => line.split(",")).map(([instId, ordId]) => ({ instId, ordId }));
  const client = createClient({ brokerUrl: BROKER_URL });
  const kwargs = { account: ACCOUNT, batch_id: BATCH_ID, orders };
  const sent = client.createTask("tasks.cancel_orders").applyAsync({ args: [], kwargs, queue: "urgent" });
  sent.get().catch(() => {}); // there is no result: without this Node would end with an error
  await client.end(); // behind the message
  console.log(`sent; it is taken once \`bulk-cancel status ${BATCH_ID}\` knows it`);
}

main();
