import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The order story's client in kafka-clients. Verbs and lines are described in ../README.md. */
public final class Orders {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    public static void main(String[] arguments) throws Exception {
        switch (arguments[0]) {
            case "produce" -> produce(arguments[1], arguments[2]);
            case "consume" -> consume(arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
            case "rewind" -> rewind(arguments[1], arguments[2], arguments[3]);
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    private static synchronized void say(ObjectNode line) {
        OUT.println(line);
    }

    private static ObjectNode event(String name) {
        return JSON.createObjectNode().put("event", name);
    }

    private static void produce(String broker, String topic) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", broker);
        settings.put("key.serializer", StringSerializer.class.getName());
        settings.put("value.serializer", StringSerializer.class.getName());
        AtomicBoolean failed = new AtomicBoolean();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings)) {
            BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            for (String line = input.readLine(); line != null; line = input.readLine()) {
                JsonNode order = JSON.readTree(line);
                long n = order.get("n").asLong();
                Long timestamp = order.hasNonNull("timestamp") ? order.get("timestamp").asLong() : null;
                String key = order.hasNonNull("key") ? order.get("key").asText() : null;
                var record = new ProducerRecord<>(topic, null, timestamp, key, order.get("value").asText());
                if (order.hasNonNull("headers")) {
                    for (Map.Entry<String, JsonNode> header : order.get("headers").properties()) {
                        record.headers().add(header.getKey(), header.getValue().asText().getBytes(StandardCharsets.UTF_8));
                    }
                }
                producer.send(record, (metadata, error) -> {
                    if (error != null) {
                        failed.set(true);
                        say(event("failed").put("n", n).put("error", error.toString()));
                    } else {
                        say(event("acked").put("n", n).put("partition", metadata.partition()).put("offset", metadata.offset()));
                    }
                });
            }
        }
        System.exit(failed.get() ? 1 : 0);
    }

    private static void consume(String broker, String topic, String group, String session, String heartbeat) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", broker);
        settings.put("group.id", group);
        settings.put("session.timeout.ms", session);
        settings.put("heartbeat.interval.ms", heartbeat);
        settings.put("auto.offset.reset", "earliest");
        settings.put("key.deserializer", StringDeserializer.class.getName());
        settings.put("value.deserializer", StringDeserializer.class.getName());
        KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings);
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup();
            try {
                main.join();
            } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
            }
        }));
        TreeSet<Integer> owned = new TreeSet<>();
        consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
            @Override
            public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                partitions.forEach(partition -> owned.add(partition.partition()));
                sayOwned(owned);
            }

            @Override
            public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                partitions.forEach(partition -> owned.remove(partition.partition()));
                sayOwned(owned);
            }
        });
        try (consumer) {
            while (true) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                    ObjectNode line = event("record")
                        .put("partition", record.partition())
                        .put("offset", record.offset())
                        .put("key", record.key())
                        .put("value", record.value())
                        .put("timestamp", record.timestamp());
                    ObjectNode headers = line.putObject("headers");
                    for (Header header : record.headers()) {
                        headers.put(header.key(), new String(header.value(), StandardCharsets.UTF_8));
                    }
                    say(line);
                }
            }
        } catch (WakeupException stopped) {
            // Closing commits and leaves the group.
        }
    }

    private static void sayOwned(TreeSet<Integer> owned) {
        ObjectNode line = event("owns");
        owned.forEach(line.putArray("partitions")::add);
        say(line);
    }

    private static void rewind(String broker, String topic, String group) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", broker))) {
            Map<TopicPartition, OffsetSpec> questions = new HashMap<>();
            for (var partition : admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions()) {
                questions.put(new TopicPartition(topic, partition.partition()), OffsetSpec.earliest());
            }
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            admin.listOffsets(questions).all().get().forEach(
                (partition, first) -> offsets.put(partition, new OffsetAndMetadata(first.offset())));
            admin.alterConsumerGroupOffsets(group, offsets).all().get();
            say(event("rewound").put("partitions", offsets.size()));
        }
    }
}
