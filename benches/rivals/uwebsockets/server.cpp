// The rival uWebSockets, as its own examples are written: echo on /, one topic a room on /room/NAME.
//
//   uwebsockets --port N     listens on 127.0.0.1, one thread; prints "listening on 127.0.0.1:N" when it does
//
// A room's message goes to all its members, the sender too. `build` beside this file compiles it; the header
// App.h is uWebSockets' own.

#include "App.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

// 8 × 256 KiB in flight and their frames fit twice.
constexpr unsigned BACKPRESSURE_BYTES_MAX = 4 * 1024 * 1024;
constexpr unsigned MESSAGE_BYTES_MAX = 1024 * 1024;

struct Nothing {};

struct Member {
    std::string topic;
};

template <typename UserData>
uWS::App::WebSocketBehavior<UserData> behavior() {
    uWS::App::WebSocketBehavior<UserData> behavior;
    behavior.compression = uWS::DISABLED;
    behavior.maxPayloadLength = MESSAGE_BYTES_MAX;
    behavior.maxBackpressure = BACKPRESSURE_BYTES_MAX;
    return behavior; // 120 seconds of silence are allowed and pings go out by themselves, as it comes
}

int port_of(int argc, char **argv) {
    if (argc == 3 && std::strcmp(argv[1], "--port") == 0) {
        char *end = nullptr;
        long port = std::strtol(argv[2], &end, 10);
        if (*end == '\0' && port > 0 && port < 65536) {
            return static_cast<int>(port);
        }
    }
    std::fprintf(stderr, "usage: uwebsockets --port N\n");
    std::exit(2);
}

} // namespace

int main(int argc, char **argv) {
    const int port = port_of(argc, argv);
    std::signal(SIGPIPE, SIG_IGN); // many clients that leave at once would end it

    uWS::App app;

    auto echo = behavior<Nothing>();
    echo.message = [](auto *client, std::string_view message, uWS::OpCode code) { client->send(message, code); };
    app.ws<Nothing>("/", std::move(echo));

    auto room = behavior<Member>();
    room.upgrade = [](auto *response, auto *request, auto *context) {
        response->template upgrade<Member>(
            {std::string(request->getParameter(0))}, request->getHeader("sec-websocket-key"),
            request->getHeader("sec-websocket-protocol"), request->getHeader("sec-websocket-extensions"), context);
    };
    room.open = [](auto *client) { client->subscribe(client->getUserData()->topic); };
    room.message = [&app](auto *client, std::string_view message, uWS::OpCode code) {
        app.publish(client->getUserData()->topic, message, code);
    };
    app.ws<Member>("/room/:name", std::move(room));

    app.listen("127.0.0.1", port, [port](auto *socket) {
        if (!socket) {
            std::fprintf(stderr, "uwebsockets: port %d cannot be had\n", port);
            std::exit(1);
        }
        std::printf("listening on 127.0.0.1:%d\n", port);
        std::fflush(stdout);
    });
    app.run();
}
