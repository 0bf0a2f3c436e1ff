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

/** Reads a party's notices, for ever or the number given, and prints each as a line of JSON. */
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
                consumer.commitSync(); // after they were handled: what a crash interrupts comes again
            }
        }
    }

    /** What to do is safe to decide by the type alone. The same notice_id again is the same notice again. */
    private static void handle(SpecificRecord notice) {
        if (notice instanceof Hold hold) {
            show("Hold", hold); // stop the box; with hold.getDoNotLoad(), take it off the loading list
        } else if (notice instanceof Change change) {
            show("Change", change); // nothing that was stopped may go, unless getAuthorises() names something
        } else if (notice instanceof Release release) {
            show("Release", release); // the whole bill may be delivered at its place now
        }
    }

    private static void show(String type, SpecificRecord notice) {
        System.out.println("{\"type\": \"" + type + "\", \"notice\": " + notice + "}");
    }
}
