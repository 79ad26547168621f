const answer = require("fs").readFileSync("built.txt", "utf8");
require("http").createServer((_, response) => response.end(`built: ${answer}`)).listen(process.env.PORT);
