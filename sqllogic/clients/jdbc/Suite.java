import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;

/**
 * Runs every method of the suite's classes whose name begins with "test", each with a connection in an
 * empty schema, and holds what they assert with.
 */
public abstract class Suite {
    static final Map<String, String> DSN = new HashMap<>();

    static {
        // A libpq connection string as keywords: host, port, user, dbname.
        for (String pair : System.getenv("AEGIS_CLIENTS_DSN").split(" ")) {
            DSN.put(pair.substring(0, pair.indexOf('=')), pair.substring(pair.indexOf('=') + 1));
        }
    }

    Connection conn;
    final String schema = "jdbc_" + getClass().getSimpleName().toLowerCase();

    /** One more connection in the test's schema; properties as name, value, name, value. */
    Connection connect(String... properties) throws SQLException {
        Properties all = new Properties();
        all.setProperty("user", DSN.get("user"));
        all.setProperty("currentSchema", schema);
        for (int i = 0; i < properties.length; i += 2) {
            all.setProperty(properties[i], properties[i + 1]);
        }
        String url = "jdbc:postgresql://%s:%s/%s".formatted(DSN.get("host"), DSN.get("port"), DSN.get("dbname"));
        return DriverManager.getConnection(url, all);
    }

    void run(String... statements) throws SQLException {
        try (Statement statement = conn.createStatement()) {
            for (String each : statements) {
                statement.execute(each);
            }
        }
    }

    /** The rows of a query as text. */
    List<String> rows(String query) throws SQLException {
        try (Statement statement = conn.createStatement()) {
            return rows(statement.executeQuery(query));
        }
    }

    /** The rows of a result as text: columns apart by "|". */
    static List<String> rows(ResultSet result, String... columns) throws SQLException {
        List<String> rows = new ArrayList<>();
        while (result.next()) {
            List<String> row = new ArrayList<>();
            int count = columns.length == 0 ? result.getMetaData().getColumnCount() : columns.length;
            for (int i = 0; i < count; i++) {
                row.add(columns.length == 0 ? result.getString(i + 1) : result.getString(columns[i]));
            }
            rows.add(String.join("|", row.stream().map(String::valueOf).toList()));
        }
        return rows;
    }

    static void same(Object expected, Object got) {
        if (!Objects.deepEquals(expected, got)) {
            throw new AssertionError("expected " + shown(expected) + " but got " + shown(got));
        }
    }

    private static String shown(Object value) {
        return value instanceof Object[] array ? Arrays.deepToString(array) : String.valueOf(value);
    }

    interface Action {
        void run() throws Exception;
    }

    /** Runs what must fail with this SQLSTATE; the error. */
    static SQLException fails(String sqlState, Action action) throws Exception {
        try {
            action.run();
        } catch (SQLException error) {
            same(sqlState, error.getSQLState());
            return error;
        }
        throw new AssertionError("it should have failed with " + sqlState);
    }

    private void inEmptySchema(Method test) throws Exception {
        try (Connection opened = connect()) {
            conn = opened;
            run("SET client_min_messages = warning", "DROP SCHEMA IF EXISTS " + schema + " CASCADE",
                "CREATE SCHEMA " + schema, "RESET client_min_messages");
            try {
                test.invoke(this);
            } catch (InvocationTargetException error) {
                throw error.getCause() instanceof Exception cause ? cause : new Exception(error.getCause());
            }
        }
        try (Connection opened = connect()) {
            conn = opened;
            run("SET client_min_messages = warning", "DROP SCHEMA IF EXISTS " + schema + " CASCADE");
        }
    }

    public static void main(String[] arguments) throws Exception {
        int passed = 0;
        List<String> failed = new ArrayList<>();
        for (Class<?> each : List.of(Values.class, Statements.class, Metadata.class, Sessions.class)) {
            for (Method method : each.getDeclaredMethods()) {
                if (!method.getName().startsWith("test")) {
                    continue;
                }
                String name = each.getSimpleName() + "." + method.getName();
                try {
                    ((Suite) each.getDeclaredConstructor().newInstance()).inEmptySchema(method);
                    passed++;
                } catch (Exception error) {
                    failed.add(name);
                    System.out.println("FAILED " + name);
                    error.printStackTrace(System.out);
                }
            }
        }
        System.out.println(passed + " passed, " + failed.size() + " failed " + failed);
        System.exit(failed.isEmpty() && passed > 0 ? 0 : 1);
    }
}
