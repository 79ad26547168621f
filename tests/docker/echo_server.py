"""Runs in a container: a web socket that says back what it hears, with tornado, which the base image has."""

import asyncio
import os

import tornado.web
import tornado.websocket


class Echo(tornado.websocket.WebSocketHandler):
    async def get(self, *words, **named):
        if self.request.headers.get("Upgrade", "").lower() != "websocket":
            self.write("not a web socket")
            return
        await super().get(*words, **named)

    def on_message(self, message):
        self.write_message(message)


async def main():
    tornado.web.Application([(".*", Echo)]).listen(int(os.environ["PORT"]), "0.0.0.0")
    await asyncio.Event().wait()


asyncio.run(main())
