/* Tunnels: CONNECT, and what an Upgrade becomes. */
#ifndef LARDER_EXCHANGE_TUNNEL_H
#define LARDER_EXCHANGE_TUNNEL_H

#include "exchange-private.h"

void tunnel_abandon(struct exchange_env *env);
struct step step_connect(struct exchange *x);
/* The origin switched protocols: the 101 goes out, then both are relayed. */
void tunnel_switched(struct exchange *x, const struct http_head *head, struct net_stream stream,
                     const struct origin_info *info);
/* The exchange ends before the socket was handed over. */
void tunnel_drop(struct exchange *x);

#endif
