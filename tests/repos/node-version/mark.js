require("fs").writeFileSync("marked", process.version)
