// Reads a document from standard input; prints what the official parser has to say, as JSON.
import { Parser } from "@asyncapi/parser";

let text = "";
for await (const part of process.stdin) text += part;
const { document, diagnostics } = await new Parser().parse(text);
const channels = document?.channels().all().map((channel) => channel.address()) ?? [];
console.log(JSON.stringify({ channels, diagnostics }));
