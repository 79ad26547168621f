require("fs").writeFileSync("built.txt", String(require("is-number")(1)));
