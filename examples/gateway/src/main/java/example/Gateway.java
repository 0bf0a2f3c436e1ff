package example;

import org.apache.camel.main.Main;

/** Runs the routes that application.properties names, until it is stopped. */
public final class Gateway {
    public static void main(String[] arguments) throws Exception {
        new Main().run(arguments);
    }
}
