/* What db.c and punch.c share: nobody else sees LMDB's types. */
#ifndef LARDER_STORE_DB_PRIVATE_H
#define LARDER_STORE_DB_PRIVATE_H

#include <lmdb.h>

#include "db.h"

#define DB_MAGIC 0x4c444231u

struct db {
	uint32_t magic;
	uint32_t page;
	MDB_env *env;
	MDB_dbi dbi[DB_TABLES];
	MDB_txn *look; /* punch.c's view of the free pages, reset between uses */
	MDB_txn *writing; /* the loop's thread asks, too, whether it is the one that ends */
	int fd;
	int turn; /* the file whose lock writers queue on; -1: none */
	bool broken;
	uint64_t punched_to; /* the page at which punching stopped */
	bool no_holes; /* the file system can't punch them */
};

int db_error(struct db *db, int rc);

#endif
