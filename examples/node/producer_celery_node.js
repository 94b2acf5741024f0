// Cancels with celery-node (npm install in this folder). Orders come from standard input as CSV with the header
// `instId,ordId`. Needs BROKER_URL, ACCOUNT and BATCH_ID.
const { readFileSync } = require("node:fs");
const { randomUUID } = require("node:crypto");
const celery = require("celery-node");

async function main() {
  const { BROKER_URL, ACCOUNT, BATCH_ID } = process.env;
  const [, ...lines] = readFileSync(0, "utf8").trim().split("\n");
  const orders = lines.map((line) => line.split(",")).map(([instId, ordId]) => ({ instId, ordId }));
  const client = celery.createClient(BROKER_URL, BROKER_URL);
  await client.isReady();
  const batch = { account: ACCOUNT, batch_id: BATCH_ID, orders };
  // not sendTask(): it does not tell when, or whether, the message was sent
  const { body, headers, properties } = client.createTaskMessage(randomUUID(), "tasks.cancel_orders", [], batch);
  await client.broker.publish(body, "", "urgent", headers, properties);
  await client.disconnect();
  console.log(`sent; it is taken once \`bulk-cancel status ${BATCH_ID}\` knows it`);
}

main();
