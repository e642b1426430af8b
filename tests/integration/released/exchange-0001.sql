BEGIN TRANSACTION;
CREATE TABLE account (
	name VARCHAR(64) NOT NULL, 
	opened TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "account" VALUES('market','2026-11-21T07:44:34.419471Z');
INSERT INTO "account" VALUES('fees','2026-11-21T07:44:34.419471Z');
INSERT INTO "account" VALUES('paper','2026-11-21T07:44:34.420595Z');
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE balance (
	account VARCHAR(64) NOT NULL, 
	asset VARCHAR(32) NOT NULL, 
	free TEXT NOT NULL, 
	locked TEXT NOT NULL, 
	PRIMARY KEY (account, asset), 
	FOREIGN KEY(account) REFERENCES account (name)
);
INSERT INTO "balance" VALUES('paper','USDT','999336.28745','0');
INSERT INTO "balance" VALUES('fees','A','0.00951','0');
INSERT INTO "balance" VALUES('market','A','-5.51','0');
INSERT INTO "balance" VALUES('market','USDT','663.263','0');
INSERT INTO "balance" VALUES('paper','A','5.50049','0');
INSERT INTO "balance" VALUES('fees','B','0.016','0');
INSERT INTO "balance" VALUES('market','B','-11','0');
INSERT INTO "balance" VALUES('paper','B','10.984','0');
INSERT INTO "balance" VALUES('fees','USDT','0.44955','0');
CREATE TABLE consumption (
	symbol VARCHAR(32) NOT NULL, 
	side VARCHAR(3) NOT NULL, 
	price TEXT NOT NULL, 
	quantity TEXT NOT NULL, 
	at TEXT NOT NULL, 
	PRIMARY KEY (symbol, side, price)
);
INSERT INTO "consumption" VALUES('AUSDT','ASK','100.1','4','2026-01-01T00:00:00.000000Z');
INSERT INTO "consumption" VALUES('AUSDT','ASK','100.2','4','2026-01-01T00:00:02.000000Z');
INSERT INTO "consumption" VALUES('BUSDT','ASK','10.01','16','2026-01-01T00:00:00.000000Z');
INSERT INTO "consumption" VALUES('AUSDT','BID','99.9','4','2026-01-01T00:00:03.000000Z');
INSERT INTO "consumption" VALUES('BUSDT','BID','9.99','5','2026-01-01T00:00:01.000000Z');
INSERT INTO "consumption" VALUES('AUSDT','ASK','100.3','1.51','2026-01-01T00:00:02.000000Z');
CREATE TABLE exchange (
	id INTEGER NOT NULL, 
	era VARCHAR(32) NOT NULL, 
	clock VARCHAR(8) NOT NULL, 
	time TEXT, 
	market VARCHAR(32) NOT NULL, 
	parameters TEXT NOT NULL, 
	start TEXT, 
	made TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "exchange" VALUES(1,'6959dddd23e85ff3','stepped','2026-01-01T00:00:04.000000Z','static','{}',NULL,'2026-11-21T07:44:34.418043Z');
CREATE TABLE order_count (
	account VARCHAR(64) NOT NULL, 
	seconds INTEGER NOT NULL, 
	window_start TEXT NOT NULL, 
	count INTEGER NOT NULL, 
	PRIMARY KEY (account, seconds), 
	FOREIGN KEY(account) REFERENCES account (name)
);
INSERT INTO "order_count" VALUES('paper',10,'2026-01-01T00:00:00.000000Z',1);
INSERT INTO "order_count" VALUES('paper',86400,'2026-01-01T00:00:00.000000Z',1);
CREATE TABLE orders (
	order_id INTEGER NOT NULL, 
	account VARCHAR(64) NOT NULL, 
	symbol VARCHAR(32) NOT NULL, 
	client_order_id VARCHAR(36) NOT NULL, 
	side VARCHAR(4) NOT NULL, 
	type VARCHAR(32) NOT NULL, 
	time_in_force VARCHAR(3) NOT NULL, 
	price TEXT NOT NULL, 
	quantity TEXT NOT NULL, 
	executed TEXT NOT NULL, 
	cumulative_quote TEXT NOT NULL, 
	ahead TEXT NOT NULL, 
	status VARCHAR(32) NOT NULL, 
	is_open BOOLEAN NOT NULL, 
	expiry_reason VARCHAR(64), 
	at TEXT NOT NULL, 
	updated TEXT NOT NULL, 
	PRIMARY KEY (order_id), 
	FOREIGN KEY(account) REFERENCES account (name)
);
INSERT INTO "orders" VALUES(1,'paper','AUSDT','etf-58a887db-1-1','BUY','LIMIT','IOC','100.21','7.51','7.51','752.102','0','FILLED',0,NULL,'2026-01-01T00:00:00.000000Z','2026-01-01T00:00:00.000000Z');
INSERT INTO "orders" VALUES(2,'paper','BUSDT','etf-58a887db-1-2','BUY','LIMIT','IOC','10.02','16','16','160.16','0','FILLED',0,NULL,'2026-01-01T00:00:00.000000Z','2026-01-01T00:00:00.000000Z');
INSERT INTO "orders" VALUES(3,'paper','AUSDT','etf-58a887db-2-1','SELL','LIMIT','IOC','99.89','2.25','2.25','224.775','0','FILLED',0,NULL,'2026-01-01T00:00:01.000000Z','2026-01-01T00:00:01.000000Z');
INSERT INTO "orders" VALUES(4,'paper','BUSDT','etf-58a887db-2-2','SELL','LIMIT','IOC','9.98','5','5','49.95','0','FILLED',0,NULL,'2026-01-01T00:00:01.000000Z','2026-01-01T00:00:01.000000Z');
INSERT INTO "orders" VALUES(5,'paper','AUSDT','etf-58a887db-3-1','BUY','LIMIT','IOC','100.31','2','2','200.551','0','FILLED',0,NULL,'2026-01-01T00:00:02.000000Z','2026-01-01T00:00:02.000000Z');
INSERT INTO "orders" VALUES(6,'paper','BUSDT','etf-58a887db-3-2','BUY','LIMIT','IOC','10.02','4','0','0','0','EXPIRED',0,'UNFILLED_IOC_QUANTITY_EXPIRED','2026-01-01T00:00:02.000000Z','2026-01-01T00:00:02.000000Z');
INSERT INTO "orders" VALUES(7,'paper','AUSDT','etf-58a887db-3-3','SELL','LIMIT','IOC','99.9','1.75','1.75','174.825','0','FILLED',0,NULL,'2026-01-01T00:00:03.000000Z','2026-01-01T00:00:03.000000Z');
CREATE TABLE symbol_state (
	symbol VARCHAR(32) NOT NULL, 
	changes BIGINT NOT NULL, 
	last_trade_id BIGINT NOT NULL, 
	PRIMARY KEY (symbol)
);
INSERT INTO "symbol_state" VALUES('AUSDT',4,6);
INSERT INTO "symbol_state" VALUES('BUSDT',2,2);
CREATE TABLE trade (
	sequence INTEGER NOT NULL, 
	symbol VARCHAR(32) NOT NULL, 
	trade_id BIGINT NOT NULL, 
	order_id INTEGER NOT NULL, 
	account VARCHAR(64) NOT NULL, 
	client_order_id VARCHAR(36) NOT NULL, 
	side VARCHAR(4) NOT NULL, 
	price TEXT NOT NULL, 
	quantity TEXT NOT NULL, 
	quote_quantity TEXT NOT NULL, 
	commission TEXT NOT NULL, 
	commission_asset VARCHAR(32) NOT NULL, 
	is_maker BOOLEAN NOT NULL, 
	at TEXT NOT NULL, 
	PRIMARY KEY (sequence), 
	CONSTRAINT trade_once UNIQUE (symbol, trade_id, order_id), 
	FOREIGN KEY(order_id) REFERENCES orders (order_id)
);
INSERT INTO "trade" VALUES(1,'AUSDT',1,1,'paper','etf-58a887db-1-1','BUY','100.1','4','400.4','0.004','A',0,'2026-01-01T00:00:00.000000Z');
INSERT INTO "trade" VALUES(2,'AUSDT',2,1,'paper','etf-58a887db-1-1','BUY','100.2','3.51','351.702','0.00351','A',0,'2026-01-01T00:00:00.000000Z');
INSERT INTO "trade" VALUES(3,'BUSDT',1,2,'paper','etf-58a887db-1-2','BUY','10.01','16','160.16','0.016','B',0,'2026-01-01T00:00:00.000000Z');
INSERT INTO "trade" VALUES(4,'AUSDT',3,3,'paper','etf-58a887db-2-1','SELL','99.9','2.25','224.775','0.224775','USDT',0,'2026-01-01T00:00:01.000000Z');
INSERT INTO "trade" VALUES(5,'BUSDT',2,4,'paper','etf-58a887db-2-2','SELL','9.99','5','49.95','0.04995','USDT',0,'2026-01-01T00:00:01.000000Z');
INSERT INTO "trade" VALUES(6,'AUSDT',4,5,'paper','etf-58a887db-3-1','BUY','100.2','0.49','49.098','0.00049','A',0,'2026-01-01T00:00:02.000000Z');
INSERT INTO "trade" VALUES(7,'AUSDT',5,5,'paper','etf-58a887db-3-1','BUY','100.3','1.51','151.453','0.00151','A',0,'2026-01-01T00:00:02.000000Z');
INSERT INTO "trade" VALUES(8,'AUSDT',6,7,'paper','etf-58a887db-3-3','SELL','99.9','1.75','174.825','0.174825','USDT',0,'2026-01-01T00:00:03.000000Z');
CREATE TABLE transfer (
	sequence INTEGER NOT NULL, 
	account VARCHAR(64) NOT NULL, 
	transfer_id VARCHAR(128) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	asset VARCHAR(32) NOT NULL, 
	amount TEXT NOT NULL, 
	at TEXT NOT NULL, 
	PRIMARY KEY (sequence), 
	CONSTRAINT transfer_once UNIQUE (account, transfer_id), 
	FOREIGN KEY(account) REFERENCES account (name)
);
INSERT INTO "transfer" VALUES(1,'paper','first','deposit','USDT','1000000','2026-01-01T00:00:00.000000Z');
CREATE INDEX orders_open ON orders (is_open, symbol);
CREATE INDEX orders_client ON orders (account, client_order_id);
CREATE INDEX orders_account ON orders (account, order_id);
CREATE UNIQUE INDEX orders_client_open ON orders (account, client_order_id) WHERE is_open;
CREATE INDEX trade_order ON trade (order_id);
CREATE INDEX trade_account ON trade (account, symbol, trade_id);
COMMIT;
