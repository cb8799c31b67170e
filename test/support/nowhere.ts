// Addresses at which nothing answers, and at once.

/** No resolver is asked about a label this long: none can be slow to say that there is no such host. */
export const NO_HOST = `${"n".repeat(64)}.invalid`;

/** A port of loopback that is refused: nobody is given it by chance. */
export const NO_SERVER = "http://127.0.0.1:9";
