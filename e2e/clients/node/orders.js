// The order story's client in kafkajs. Verbs and lines are described in ../README.md.
"use strict";

const readline = require("node:readline");
const { Kafka, Partitioners, logLevel } = require("kafkajs");

const say = (event, fields) => console.log(JSON.stringify({ event, ...fields }));

const connect = (broker) => new Kafka({ clientId: "orders", brokers: broker.split(","), logLevel: logLevel.WARN });

async function produce(broker, topic) {
  // kafkajs tells the first offset of each partition of a request, and not which record went where.
  const chosen = [];
  const choose = Partitioners.DefaultPartitioner();
  const createPartitioner = () => (question) => {
    const partition = choose(question);
    chosen.push(partition);
    return partition;
  };
  const producer = connect(broker).producer({ createPartitioner: createPartitioner });
  await producer.connect();
  let failed = false;
  const send = async (orders) => {
    chosen.length = 0;
    const messages = orders.map((order) => ({
      key: order.key,
      value: order.value,
      headers: order.headers ?? {},
      ...(order.timestamp ? { timestamp: String(order.timestamp) } : {}),
    }));
    try {
      const answers = await producer.send({ topic, messages });
      const next = new Map(answers.map((answer) => [answer.partition, Number(answer.baseOffset)]));
      orders.forEach((order, index) => {
        const partition = chosen[index];
        const offset = next.get(partition);
        next.set(partition, offset + 1);
        say("acked", { n: order.n, partition, offset });
      });
    } catch (error) {
      failed = true;
      orders.forEach((order) => say("failed", { n: order.n, error: String(error) }));
    }
  };
  let waiting = [];
  for await (const line of readline.createInterface({ input: process.stdin })) {
    waiting.push(JSON.parse(line));
    if (waiting.length === 200) {
      await send(waiting);
      waiting = [];
    }
  }
  if (waiting.length > 0) await send(waiting);
  await producer.disconnect();
  process.exitCode = failed ? 1 : 0;
}

async function consume(broker, topic, groupId, session, heartbeat) {
  const consumer = connect(broker).consumer({
    groupId,
    sessionTimeout: Number(session),
    heartbeatInterval: Number(heartbeat),
    // kafkajs sends its heartbeats between fetches, so a fetch may not wait for longer.
    maxWaitTimeInMs: Number(heartbeat) / 2,
  });
  const text = (bytes) => (bytes === null || bytes === undefined ? null : bytes.toString());
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) =>
    say("owns", { partitions: payload.memberAssignment[topic] ?? [] }));
  consumer.on(consumer.events.REBALANCING, () => say("owns", { partitions: [] }));
  const stop = async () => {
    await consumer.disconnect();
    process.exit(0);
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      const headers = Object.fromEntries(Object.entries(message.headers ?? {}).map(([name, value]) => [name, text(value)]));
      say("record", {
        partition,
        offset: Number(message.offset),
        key: text(message.key),
        value: text(message.value),
        headers,
        timestamp: Number(message.timestamp),
      });
    },
  });
}

async function rewind(broker, topic, groupId) {
  const admin = connect(broker).admin();
  await admin.connect();
  const first = await admin.fetchTopicOffsets(topic);
  const partitions = first.map(({ partition, low }) => ({ partition, offset: low }));
  await admin.setOffsets({ groupId, topic, partitions });
  say("rewound", { partitions: partitions.length });
  await admin.disconnect();
}

const [verb, ...rest] = process.argv.slice(2);
({ produce, consume, rewind })[verb](...rest).catch((error) => {
  console.error(error);
  process.exit(1);
});
