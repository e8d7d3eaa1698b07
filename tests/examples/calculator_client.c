/* Calls every procedure of calculator.x once: HOST PROTOCOL, where HOST has an rpcbind; or 127.0.0.1 PROTOCOL PORT. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "calculator.h"

static CLIENT *client;

static void *must(void *result) {
    if (result == NULL) {
        clnt_perror(client, "call");
        exit(1);
    }
    return result;
}

static CLIENT *at_port(const char *protocol, unsigned short port) {
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct timeval retry = { 2, 0 };
    int fd = RPC_ANYSOCK;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (strcmp(protocol, "tcp") == 0)
        return clnttcp_create(&at, CALCULATOR, CALCULATOR_V1, &fd, 0, 0);
    return clntudp_create(&at, CALCULATOR, CALCULATOR_V1, retry, &fd);
}

static void say_answer(const char *what, answer *answer) {
    switch (answer->verdict) {
    case VERDICT_GOOD:
        printf("%s: %lld\n", what, (long long) answer->answer_u.value);
        break;
    case VERDICT_OVERFLOW:
        printf("%s: overflow, %s\n", what, answer->answer_u.explanation);
        break;
    default:
        printf("%s: verdict %d\n", what, answer->verdict);
    }
}

static void calculate(const char *what, operation operation, long long left, long long right) {
    calculation calculation = { operation, left, right };
    say_answer(what, must(calculate_1(&calculation, client)));
}

static void say_statistics(terms *terms) {
    maybe_statistics *maybe = must(statistics_1(terms, client));
    if (*maybe == NULL)
        printf("statistics: none\n");
    else
        printf("statistics: %u, %g, %lld to %lld\n", (*maybe)->count, (*maybe)->mean,
               (long long) (*maybe)->extremes[0], (long long) (*maybe)->extremes[1]);
}

static void say_caller(void) {
    caller *caller = must(who_am_i_1(NULL, client));
    if (caller->uid == NULL)
        printf("caller: nobody at %s\n", strncmp(caller->machine, "127.0.0.1:", 10) == 0 ? "home" : caller->machine);
    else
        printf("caller: %u at %s\n", *caller->uid, caller->machine);
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    client = argc > 3 ? at_port(argv[2], (unsigned short) atoi(argv[3]))
                      : clnt_create(argv[1], CALCULATOR, CALCULATOR_V1, argv[2]);
    if (client == NULL) {
        clnt_pcreateerror(argv[1]);
        return 1;
    }
    must(calculator_null_1(NULL, client));
    calculate("add", OPERATION_ADD, 9000000000000000000LL, -1);
    calculate("subtract", OPERATION_SUBTRACT, -5, 7);
    calculate("multiply", OPERATION_MULTIPLY, 9000000000000000000LL, 2);
    calculate("divide", OPERATION_DIVIDE, 7, 2);
    calculate("divide", OPERATION_DIVIDE, 7, 0);

    quad_t numbers[] = { 4, -8, 1LL << 40 };
    terms terms = { 3, (void *) numbers };
    say_answer("sum", must(sum_1(&terms, client)));
    say_statistics(&terms);
    terms.terms_len = 0;
    say_statistics(&terms);

    cell second = { "pi", 3, NULL }, first = { "e", 2, &second };
    printf("stored: %d\n", *(bool_t *) must(store_1(&first, client)));
    for (cell *cell = *(cells *) must(recall_1(NULL, client)); cell != NULL; cell = cell->next)
        printf("%s = %lld\n", cell->key, (long long) cell->value);

    say_caller();
    auth_destroy(client->cl_auth);
    client->cl_auth = authunix_create("here", 1234, 5678, 0, NULL);
    say_caller();

    calculation wrong = { 77, 0, 0 };
    if (calculate_1(&wrong, client) == NULL)
        printf("%s\n", clnt_sperror(client, "wrong"));
    return 0;
}
