import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;

import com.fasterxml.jackson.databind.JsonNode;

import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.Readable;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.NullableSchema;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.BaseRecords;
import org.apache.kafka.common.record.internal.MemoryRecords;

/**
 * Kafka's own classes as an oracle for ours.
 *
 * <pre>
 * echo IN OUT            lines "class version hex" become "hex json", or "error text"
 * make IN OUT SEED COUNT lines "class version" become COUNT lines "class version hex json"
 * facts                  prints API keys and error codes
 * </pre>
 */
public final class Oracle {
    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "echo" -> echo(Path.of(args[1]), Path.of(args[2]));
            case "make" -> make(Path.of(args[1]), Path.of(args[2]), Long.parseLong(args[3]),
                Integer.parseInt(args[4]));
            case "facts" -> facts();
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    private static void facts() {
        for (ApiKeys key : ApiKeys.values()) {
            if (key.hasValidVersion()) {
                System.out.println("api " + key.id + " " + key.name + " " + key.oldestVersion() + " "
                    + key.latestVersion(false) + " " + key.latestVersion(true));
                for (short v = key.oldestVersion(); v <= key.latestVersion(true); v++) {
                    System.out.println("header " + key.id + " " + v + " "
                        + key.requestHeaderVersion(v) + " " + key.responseHeaderVersion(v));
                }
            }
        }
        for (Errors error : Errors.values()) {
            boolean retriable = error.exception() instanceof RetriableException;
            System.out.println("error " + error.code() + " " + error.name() + " " + retriable);
        }
    }

    private static void echo(Path in, Path out) throws Exception {
        try (BufferedReader lines = Files.newBufferedReader(in);
             BufferedWriter writer = Files.newBufferedWriter(out)) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                String[] parts = line.split(" ", -1);
                short version = Short.parseShort(parts[1]);
                try {
                    ByteBuffer bytes = ByteBuffer.wrap(HexFormat.of().parseHex(parts[2]));
                    Constructor<?> constructor =
                        Class.forName(parts[0]).getConstructor(Readable.class, short.class);
                    Message message =
                        (Message) constructor.newInstance(new ByteBufferAccessor(bytes), version);
                    if (bytes.hasRemaining()) {
                        throw new IllegalStateException(bytes.remaining() + " bytes left");
                    }
                    writer.write(hex(message, version) + " " + json(message, version));
                } catch (Exception e) {
                    Throwable cause = e.getCause() == null ? e : e.getCause();
                    writer.write("error " + cause.toString().replace('\n', ' '));
                }
                writer.newLine();
            }
        }
    }

    private static String hex(Message message, short version) {
        ByteBuffer bytes = MessageUtil.toByteBufferAccessor(message, version).buffer();
        byte[] copy = new byte[bytes.remaining()];
        bytes.get(copy);
        return HexFormat.of().formatHex(copy);
    }

    private static String json(Message message, short version) throws Exception {
        Class<?> converter = Class.forName(message.getClass().getName() + "JsonConverter");
        Method write = converter.getMethod("write", message.getClass(), short.class, boolean.class);
        return ((JsonNode) write.invoke(null, message, version, false)).toString();
    }

    private static void make(Path in, Path out, long seed, int count) throws Exception {
        try (BufferedReader lines = Files.newBufferedReader(in);
             BufferedWriter writer = Files.newBufferedWriter(out)) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                String[] parts = line.split(" ");
                Class<?> type = Class.forName(parts[0]);
                short version = Short.parseShort(parts[1]);
                for (int n = 0; n < count; n++) {
                    Maker maker = new Maker(new Random(seed ^ line.hashCode() * 31L + n), n);
                    Schema schema = ((Schema[]) type.getField("SCHEMAS").get(null))[version];
                    Message message = (Message) maker.struct(type, schema);
                    writer.write(line + " " + hex(message, version) + " " + json(message, version));
                    writer.newLine();
                }
            }
        }
    }

    /** Sets every field that a schema names, through reflection. */
    private static final class Maker {
        private final Random random;
        /** 0: null or empty, 1: empty, 2: maximum, else random. */
        private final int style;

        Maker(Random random, int style) {
            this.random = random;
            this.style = style;
        }

        Object struct(Class<?> type, Schema schema) throws Exception {
            Object made = type.getConstructor().newInstance();
            for (BoundField bound : schema.fields()) {
                if (bound.def.type instanceof TaggedFields tagged) {
                    for (Map.Entry<Integer, org.apache.kafka.common.protocol.types.Field> entry
                        : tagged.fields().entrySet()) {
                        if (style < 3 || random.nextInt(3) > 0) {
                            set(made, entry.getValue().name, entry.getValue().type);
                        }
                    }
                    unknown((Message) made);
                } else {
                    set(made, bound.def.name, bound.def.type);
                }
            }
            return made;
        }

        private void unknown(Message message) {
            int tag = 50;
            int count = style < 2 ? 0 : style == 2 ? 1 : random.nextInt(3);
            for (int n = 0; n < count; n++) {
                tag += 1 + random.nextInt(70_000);
                byte[] content = new byte[random.nextInt(30)];
                random.nextBytes(content);
                message.unknownTaggedFields().add(new RawTaggedField(tag, content));
            }
        }

        private void set(Object made, String name, Type type) throws Exception {
            for (Field field : made.getClass().getDeclaredFields()) {
                boolean ours = !Modifier.isStatic(field.getModifiers());
                if (ours && same(field.getName(), name)) {
                    field.setAccessible(true);
                    if (type.isNullable() && (style == 0 || style > 2 && random.nextInt(3) == 0)) {
                        field.set(made, null);
                    } else {
                        field.set(made, value(field.getType(), field.getGenericType(), type));
                    }
                    return;
                }
            }
            throw new IllegalStateException(made.getClass() + " has no field " + name);
        }

        private static boolean same(String camel, String snake) {
            return camel.equalsIgnoreCase(snake.replace("_", ""));
        }

        private long number(int bits) {
            long largest = (1L << (bits - 1)) - 1;
            return switch (style) {
                case 0 -> 0;
                case 1 -> 1;
                case 2 -> largest;
                case 3 -> -largest - 1;
                default -> random.nextInt(3) == 0 ? random.nextInt(100)
                    : random.nextLong() >> (64 - bits);
            };
        }

        private Object value(Class<?> type, java.lang.reflect.Type generic, Type schema)
            throws Exception {
            if (type == boolean.class) {
                return style == 2 || style > 2 && random.nextBoolean();
            } else if (type == byte.class || type == Byte.class) {
                return (byte) number(8);
            } else if (type == short.class || type == Short.class) {
                return (short) number(16);
            } else if (type == int.class || type == Integer.class) {
                return schema == Type.UINT16 ? (int) number(16) & 0xffff : (int) number(32);
            } else if (type == long.class || type == Long.class) {
                return number(64);
            } else if (type == double.class) {
                return style == 2 ? Double.MAX_VALUE : random.nextDouble() * 1e6;
            } else if (type == Uuid.class) {
                return new Uuid(number(64), number(64));
            } else if (type == String.class) {
                return text();
            } else if (type == byte[].class) {
                return bytes();
            } else if (type == ByteBuffer.class) {
                return ByteBuffer.wrap(bytes());
            } else if (type == BaseRecords.class) {
                return MemoryRecords.readableRecords(ByteBuffer.wrap(bytes()));
            } else if (Collection.class.isAssignableFrom(type)) {
                return collection(type, generic, schema.arrayElementType().orElseThrow());
            }
            return struct(type, (Schema) schema);
        }

        @SuppressWarnings("unchecked")
        private Object collection(Class<?> type, java.lang.reflect.Type generic, Type element)
            throws Exception {
            Class<?> of;
            Collection<Object> made;
            if (type == List.class) {
                of = (Class<?>) ((ParameterizedType) generic).getActualTypeArguments()[0];
                made = new ArrayList<>();
            } else {
                java.lang.reflect.Type parent = type.getGenericSuperclass();
                of = (Class<?>) ((ParameterizedType) parent).getActualTypeArguments()[0];
                made = (Collection<Object>) type.getConstructor().newInstance();
            }
            int count = style < 2 ? 0 : style == 2 ? 2 : random.nextInt(4);
            for (int n = 0; n < count; n++) {
                made.add(value(of, of, element));
            }
            return made;
        }

        private String text() {
            int length = switch (style) {
                case 0, 1 -> 0;
                case 2 -> 200;
                default -> random.nextInt(20);
            };
            String alphabet = "aB7-.\"\\\n\0 'ß字";
            StringBuilder text = new StringBuilder();
            for (int n = 0; n < length; n++) {
                text.append(alphabet.charAt(random.nextInt(alphabet.length())));
            }
            return text.toString();
        }

        private byte[] bytes() {
            byte[] bytes = new byte[style < 2 ? 0 : style == 2 ? 3000 : random.nextInt(300)];
            random.nextBytes(bytes);
            return bytes;
        }
    }
}
