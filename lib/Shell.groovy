/** Text in shell commands. */
class Shell {

    static String quote(String text) {
        "'" + text.replace("'", "'\\''") + "'"
    }
}
