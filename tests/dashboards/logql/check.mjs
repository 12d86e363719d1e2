// Reads a JSON list of LogQL queries from standard input; writes the list of [query, what is wrong near].
import { readFileSync } from "node:fs";
import { parser } from "@grafana/lezer-logql";

const wrong = [];
for (const query of JSON.parse(readFileSync(0, "utf8"))) {
  parser.parse(query).iterate({
    enter(node) {
      if (node.type.isError) wrong.push([query, query.slice(Math.max(0, node.from - 10), node.to + 20)]);
    },
  });
}
process.stdout.write(JSON.stringify(wrong));
