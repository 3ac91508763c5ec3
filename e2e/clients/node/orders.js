// The order story's client in kafkajs. Verbs and lines are described in ../README.md.
"use strict";

const readline = require("node:readline");
const { Kafka, Partitioners, logLevel } = require("kafkajs");

const say = (event, fields) => console.log(JSON.stringify({ event, ...fields }));

const connect = (broker) => new Kafka({ clientId: "orders", brokers: broker.split(","), logLevel: logLevel.WARN });

// How often what kafkajs left out is sent again.
const TRIES = 10;

async function produce(broker, topic) {
  // kafkajs asks for the partition again with each try of a request, would choose another for a record without a key,
  // and does not tell which record went where.
  const choose = Partitioners.DefaultPartitioner();
  const chosen = new Map();
  let asked = 0;
  const createPartitioner = () => (question) => {
    asked += 1;
    const { message } = question;
    if (!chosen.has(message)) chosen.set(message, choose(question));
    return chosen.get(message);
  };
  const producer = connect(broker).producer({ createPartitioner });
  await producer.connect();
  let failed = false;
  const fail = (numbers, error) => {
    failed = true;
    numbers.forEach((n) => say("failed", { n, error: String(error) }));
  };
  const send = async (orders) => {
    chosen.clear();
    const numbers = new Map(orders.map((order) => [{
      key: order.key,
      value: order.value,
      headers: order.headers ?? {},
      ...(order.timestamp ? { timestamp: String(order.timestamp) } : {}),
    }, order.n]));
    // A request that is tried again skips brokers that answered its first try, also for partitions that they have come
    // to lead since: kafkajs is content, and its answer has no such partition (tulios/kafkajs#1303).
    for (let tries = 0; numbers.size > 0; tries += 1) {
      asked = 0;
      const messages = [...numbers.keys()];
      let answers;
      try {
        answers = await producer.send({ topic, messages });
      } catch (error) {
        return fail([...numbers.values()], error);
      }
      const next = new Map(answers.map((answer) => [answer.partition, Number(answer.baseOffset)]));
      for (const message of messages) {
        const partition = chosen.get(message);
        if (!next.has(partition)) continue;
        const offset = next.get(partition);
        next.set(partition, offset + 1);
        say("acked", { n: numbers.get(message), partition, offset });
        numbers.delete(message);
      }
      const wasTriedAgain = asked > messages.length;
      if (numbers.size > 0 && (!wasTriedAgain || tries === TRIES)) {
        return fail([...numbers.values()], "the answer leaves it out");
      }
    }
  };
  const waiting = [];
  let ended = false;
  const input = readline.createInterface({ input: process.stdin });
  input.on("line", (line) => waiting.push(JSON.parse(line)));
  input.on("close", () => { ended = true; });
  while (!ended || waiting.length > 0) {
    if (waiting.length > 0) await send(waiting.splice(0, 200));
    else await new Promise((resolve) => setTimeout(resolve, 10));
  }
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
  for (const event of [consumer.events.REBALANCING, consumer.events.CRASH]) {
    consumer.on(event, () => say("owns", { partitions: [] }));
  }
  consumer.on(consumer.events.HEARTBEAT, () => say("heartbeat", {}));
  consumer.on(consumer.events.COMMIT_OFFSETS, ({ payload }) => {
    for (const { partition, offset } of payload.topics.flatMap(({ partitions }) => partitions)) {
      say("committed", { partition: Number(partition), offset: Number(offset) });
    }
  });
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
