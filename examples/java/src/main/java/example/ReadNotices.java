package example;

import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.avro.specific.SpecificRecord;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import snp.Change;
import snp.Hold;
import snp.Release;

/** Prints a party's notices as lines of JSON: without end, or as many as asked for. */
public final class ReadNotices {

    public static void main(String[] arguments) throws IOException {
        if (arguments.length < 2) {
            System.err.println("usage: ReadNotices consumer.properties SCAC [NUMBER]");
            System.exit(2);
        }
        Properties settings = new Properties();
        try (Reader file = Files.newBufferedReader(Path.of(arguments[0]))) {
            settings.load(file);
        }
        long number = arguments.length > 2 ? Long.parseLong(arguments[2]) : Long.MAX_VALUE;
        try (KafkaConsumer<String, SpecificRecord> consumer = new KafkaConsumer<>(settings)) {
            consumer.subscribe(List.of("snp.party." + arguments[1]));
            for (long handled = 0; handled < number; ) {
                ConsumerRecords<String, SpecificRecord> records = consumer.poll(Duration.ofSeconds(1));
                for (ConsumerRecord<String, SpecificRecord> record : records) {
                    handle(record.value());
                    handled++;
                }
                consumer.commitSync(); // only after handling: after a crash, unhandled notices are delivered again
            }
        }
    }

    /**
     * Handles one notice. Unless it is a test, its type alone is enough to act on safely; a notice_id seen before is a
     * duplicate.
     */
    private static void handle(SpecificRecord notice) {
        if (notice instanceof Hold hold) {
            show("Hold", hold.getFlags(), hold); // stop the cargo; if hold.getDoNotLoad(), take it off the loading list
        } else if (notice instanceof Change change) {
            show("Change", change.getFlags(), change); // stopped cargo stays stopped, except for what getAuthorises() allows
        } else if (notice instanceof Release release) {
            show("Release", release.getFlags(), release); // the whole bill may be delivered now
        }
    }

    private static void show(String type, List<String> flags, SpecificRecord notice) {
        // A sample, or a notice of a test installation: real cargo must not follow it.
        boolean test = flags.contains("TEST");
        System.out.println("{\"type\": \"" + type + "\", \"test\": " + test + ", \"notice\": " + notice + "}");
    }
}
