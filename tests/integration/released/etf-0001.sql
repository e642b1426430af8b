BEGIN TRANSACTION;
CREATE TABLE account (
	id INTEGER NOT NULL, 
	environment VARCHAR(16) NOT NULL, 
	uid VARCHAR(64) NOT NULL, 
	era VARCHAR(64) NOT NULL, 
	transfers_seen INTEGER NOT NULL, 
	created_at TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (environment, uid)
);
INSERT INTO "account" VALUES(1,'paper','paper','6959dddd23e85ff3',1,'2026-01-01T00:00:00.000000Z');
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE allocation (
	fill_id INTEGER NOT NULL, 
	index_order_id INTEGER NOT NULL, 
	quantity TEXT NOT NULL, 
	value TEXT NOT NULL, 
	fee TEXT NOT NULL, 
	seal VARCHAR(64) NOT NULL, 
	PRIMARY KEY (fill_id, index_order_id), 
	FOREIGN KEY(fill_id) REFERENCES fill (id), 
	FOREIGN KEY(index_order_id) REFERENCES index_order (id)
);
INSERT INTO "allocation" VALUES(1,1,'4','400.4','0.004','cc99a5cf535179cc569d0273a8b769cc15121791011ef3a252d99428d3e5c19a');
INSERT INTO "allocation" VALUES(2,1,'3.51','351.702','0.00351','1a8e1b49619d66d5bd80e338e3b757cfb2612f972be9366ca562a9cabff9e407');
INSERT INTO "allocation" VALUES(3,1,'16','160.16','0.016','2a4d62928a290eb62b37c59d4ea9bb073e8f0c64c1082c8209da5b94a2702294');
INSERT INTO "allocation" VALUES(4,2,'2.25','224.775','0.224775','c25b219c363bbc10c6177d7e7ecf147087bbf379e72a800fdecebc671f850098');
INSERT INTO "allocation" VALUES(5,2,'5','49.95','0.04995','eb7586a45fd9458b3855af54f520ea1b605862b615eb1198a19ebc48b19051e3');
INSERT INTO "allocation" VALUES(6,3,'0.49','49.098','0.00049','feb9c9308c242e5950a514affb295a668bdc83dd6e117972741ca2d8bc4e7f06');
INSERT INTO "allocation" VALUES(7,3,'1.51','151.453','0.00151','6c1fe791805e6e500746ff7146de6ae315ce948718761287d10eb06f04b9f4e0');
INSERT INTO "allocation" VALUES(8,3,'1.75','174.825','0.174825','3ce89b0b52202f7329fb8e7721f305f669d800058cd9a70e14e81c23aa666d3f');
CREATE TABLE asset_order (
	id INTEGER NOT NULL, 
	plan_id INTEGER NOT NULL, 
	index_order_id INTEGER NOT NULL, 
	client_order_id VARCHAR(36) NOT NULL, 
	asset VARCHAR(20) NOT NULL, 
	symbol VARCHAR(20) NOT NULL, 
	side VARCHAR(4) NOT NULL, 
	quantity TEXT NOT NULL, 
	price TEXT NOT NULL, 
	arrival_mid TEXT NOT NULL, 
	mid TEXT NOT NULL, 
	touch TEXT NOT NULL, 
	seal VARCHAR(64) NOT NULL, 
	status VARCHAR(10) NOT NULL, 
	attempts INTEGER NOT NULL, 
	granted_at TEXT, 
	venue_order_id BIGINT, 
	executed_quantity TEXT NOT NULL, 
	executed_value TEXT NOT NULL, 
	reason TEXT, 
	ended_at TEXT, 
	end_seal VARCHAR(64), 
	PRIMARY KEY (id), 
	FOREIGN KEY(plan_id) REFERENCES "plan" (id), 
	FOREIGN KEY(index_order_id) REFERENCES index_order (id), 
	UNIQUE (client_order_id)
);
INSERT INTO "asset_order" VALUES(1,1,1,'etf-58a887db-1-1','A','AUSDT','buy','7.51','100.21','100','100','100.1','26be5e6436f0091e9d5d858d9b993c1960d08b9027be07e702f3d19c3d39bd66','filled',1,'2026-01-01T00:00:00.000000Z',1,'7.51','752.102',NULL,'2026-01-01T00:00:00.000000Z','172d52cbb978db1d07059377e9bd6f877ebbbafacf5b15342329809f0aa88787');
INSERT INTO "asset_order" VALUES(2,1,1,'etf-58a887db-1-2','B','BUSDT','buy','16','10.02','10','10','10.01','3e4ae7c211c9d5411273c5d82c9f877e87a2cbe056370fe153632d8571e55b4d','filled',1,'2026-01-01T00:00:00.000000Z',2,'16','160.16',NULL,'2026-01-01T00:00:00.000000Z','62e4c39b69c15e01d92a185fa44e9a91036adb693533b1b2aab00b968a4c2a9d');
INSERT INTO "asset_order" VALUES(3,2,2,'etf-58a887db-2-1','A','AUSDT','sell','2.25','99.89','100.05','100.05','99.9','528c974812605b8f794b058e76af997ff4c1cc040e3397efbc598ff9fd8d980d','filled',1,'2026-01-01T00:00:01.000000Z',3,'2.25','224.775',NULL,'2026-01-01T00:00:01.000000Z','14bb2e50e84720d88761aab1581b787ffa2e7395c3dccb5f347171e1ba876593');
INSERT INTO "asset_order" VALUES(4,2,2,'etf-58a887db-2-2','B','BUSDT','sell','5','9.98','10','10','9.99','d9cf6ba9d60b29ae3dbfbed20d3819fc89d84639b8d38001edda5c8445e7cc55','filled',1,'2026-01-01T00:00:01.000000Z',4,'5','49.95',NULL,'2026-01-01T00:00:01.000000Z','8a3b274001abbe59301e2acc0ae9c95182ec99f52e4215be244a322592362309');
INSERT INTO "asset_order" VALUES(5,3,3,'etf-58a887db-3-1','A','AUSDT','buy','2','100.31','100.05','100.05','100.2','233a87a45988dd9de38fb49b8c8712b9a0ea81e4851456cb7416fadab92160ea','filled',1,'2026-01-01T00:00:02.000000Z',5,'2','200.551',NULL,'2026-01-01T00:00:02.000000Z','9c972130d2486c3209f3c7d07eed4e30f2f675d9ddec6db6ee78e05ef5b9cd55');
INSERT INTO "asset_order" VALUES(6,3,3,'etf-58a887db-3-2','B','BUSDT','buy','4','10.02','10','10','10.01','08e49c2f1726392926a96ea49524008c29a97c7fd8df8a4b67bd9be6d9a575bd','unfilled',1,'2026-01-01T00:00:02.000000Z',6,'0','0','UNFILLED_IOC_QUANTITY_EXPIRED','2026-01-01T00:00:02.000000Z','6d80e75ef4f3faa6ecec429449d6766e596f223c2a820d8e75476716719f4973');
INSERT INTO "asset_order" VALUES(7,4,3,'etf-58a887db-3-3','A','AUSDT','sell','1.75','99.9','100.05','100.1','99.9','71dcdcb186c6e14f6d5e08040245f3593b0ff669b2c1f21273af91bdaeb6b652','filled',1,'2026-01-01T00:00:03.000000Z',7,'1.75','174.825',NULL,'2026-01-01T00:00:03.000000Z','170365417b474ae05bc4307be0b5fd5374fd21749c2b1af91dc62beb9bed07e0');
CREATE TABLE balance (
	account_id INTEGER NOT NULL, 
	account VARCHAR(80) NOT NULL, 
	asset VARCHAR(20) NOT NULL, 
	amount TEXT NOT NULL, 
	PRIMARY KEY (account_id, account, asset), 
	FOREIGN KEY(account_id) REFERENCES account (id)
);
INSERT INTO "balance" VALUES(1,'capital:self','USDT','-1000000');
INSERT INTO "balance" VALUES(1,'treasury:self','USDT','998337.13705');
INSERT INTO "balance" VALUES(1,'float:1','USDT','999.1504');
INSERT INTO "balance" VALUES(1,'order:1','USDT','0');
INSERT INTO "balance" VALUES(1,'market','A','-5.51');
INSERT INTO "balance" VALUES(1,'order:1','A','0');
INSERT INTO "balance" VALUES(1,'market','USDT','663.263');
INSERT INTO "balance" VALUES(1,'venue_fees','A','0.00951');
INSERT INTO "balance" VALUES(1,'market','B','-11');
INSERT INTO "balance" VALUES(1,'order:1','B','0');
INSERT INTO "balance" VALUES(1,'venue_fees','B','0.016');
INSERT INTO "balance" VALUES(1,'float:1','A','0.00849');
INSERT INTO "balance" VALUES(1,'float:1','B','0');
INSERT INTO "balance" VALUES(1,'index:1','A','5.492');
INSERT INTO "balance" VALUES(1,'index:1','B','10.984');
INSERT INTO "balance" VALUES(1,'issued:1','unit:1','-5.492');
INSERT INTO "balance" VALUES(1,'position:1','unit:1','5.492');
INSERT INTO "balance" VALUES(1,'order:2','unit:1','0');
INSERT INTO "balance" VALUES(1,'order:2','A','0');
INSERT INTO "balance" VALUES(1,'order:2','B','0');
INSERT INTO "balance" VALUES(1,'redeemed:2','unit:1','0');
INSERT INTO "balance" VALUES(1,'order:2','USDT','0');
INSERT INTO "balance" VALUES(1,'venue_fees','USDT','0.44955');
INSERT INTO "balance" VALUES(1,'order:3','USDT','0');
INSERT INTO "balance" VALUES(1,'order:3','A','0');
CREATE TABLE basket (
	id INTEGER NOT NULL, 
	index_id INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	effective_at TEXT NOT NULL, 
	cash_per_unit TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	seal VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (index_id, version), 
	FOREIGN KEY(index_id) REFERENCES "index" (id)
);
INSERT INTO "basket" VALUES(1,1,1,'2026-01-01T00:00:00.000000Z','0','created','370e9ccb724b355941553065e380b1c688375e957d5481e49f81807c2ee8052f');
CREATE TABLE basket_item (
	basket_id INTEGER NOT NULL, 
	asset VARCHAR(20) NOT NULL, 
	symbol VARCHAR(20) NOT NULL, 
	quantity TEXT NOT NULL, 
	PRIMARY KEY (basket_id, asset), 
	FOREIGN KEY(basket_id) REFERENCES basket (id)
);
INSERT INTO "basket_item" VALUES(1,'A','AUSDT','1');
INSERT INTO "basket_item" VALUES(1,'B','BUSDT','2');
CREATE TABLE disposal (
	id INTEGER NOT NULL, 
	lot_id INTEGER NOT NULL, 
	transaction_id INTEGER NOT NULL, 
	acquired_at TEXT NOT NULL, 
	disposed_at TEXT NOT NULL, 
	quantity TEXT NOT NULL, 
	proceeds TEXT NOT NULL, 
	cost TEXT NOT NULL, 
	fee TEXT NOT NULL, 
	gain TEXT NOT NULL, 
	days_held INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(lot_id) REFERENCES lot (id), 
	FOREIGN KEY(transaction_id) REFERENCES "transaction" (id)
);
INSERT INTO "disposal" VALUES(1,1,7,'2026-01-01T00:00:00.000000Z','2026-01-01T00:00:00.000000Z','0.00249','0.249','0.249498498498498498','0','-0.000498498498498498',0);
INSERT INTO "disposal" VALUES(2,3,7,'2026-01-01T00:00:00.000000Z','2026-01-01T00:00:00.000000Z','0.984','9.84','9.859699699699699699','0','-0.019699699699699699',0);
INSERT INTO "disposal" VALUES(3,5,10,'2026-01-01T00:00:00.000000Z','2026-01-01T00:00:01.000000Z','0.5','5','5','0','0',0);
INSERT INTO "disposal" VALUES(4,9,11,'2026-01-01T00:00:01.000000Z','2026-01-01T00:00:01.000000Z','2.25','224.550225','225.55575045045045045','0.224775','-1.00552545045045045',0);
INSERT INTO "disposal" VALUES(5,10,12,'2026-01-01T00:00:01.000000Z','2026-01-01T00:00:01.000000Z','4.5','44.910045','45.09009009009009009','0.044955','-0.18004509009009009',0);
INSERT INTO "disposal" VALUES(6,11,12,'2026-01-01T00:00:01.000000Z','2026-01-01T00:00:01.000000Z','0.5','4.990005','5','0.004995','-0.009995',0);
INSERT INTO "disposal" VALUES(7,8,13,'2026-01-01T00:00:00.000000Z','2026-01-01T00:00:01.000000Z','2.25','269.450275','270.6519','0','-1.201625',0);
INSERT INTO "disposal" VALUES(8,5,18,'2026-01-01T00:00:00.000000Z','2026-01-01T00:00:02.000000Z','0.484','4.84','4.84','0','0',0);
INSERT INTO "disposal" VALUES(9,12,19,'2026-01-01T00:00:02.000000Z','2026-01-01T00:00:03.000000Z','0.24751','24.701522751','24.825327327327327328','0.024726249','-0.123804576327327328',0);
INSERT INTO "disposal" VALUES(10,13,19,'2026-01-01T00:00:02.000000Z','2026-01-01T00:00:03.000000Z','1.50249','149.948652249','150.850597597597597597','0.150098751','-0.901945348597597597',0);
INSERT INTO "disposal" VALUES(11,13,20,'2026-01-01T00:00:02.000000Z','2026-01-01T00:00:04.000000Z','0.006','0.6006','0.602402402402402403','0','-0.001802402402402403',0);
CREATE TABLE event (
	id INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	kind VARCHAR(64) NOT NULL, 
	document TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "event" VALUES(1,'2026-01-01T00:00:00.000000Z','OrderAccepted','{"index": "TWO", "order": 1, "quantity": "7.5", "side": "buy"}');
INSERT INTO "event" VALUES(2,'2026-01-01T00:00:00.000000Z','BatchPlanned','{"asset_orders": 2, "order": 1, "plan": 1, "units": "7.5"}');
INSERT INTO "event" VALUES(3,'2026-01-01T00:00:00.000000Z','FillBooked','{"order": 1, "price": "100.1", "quantity": "4", "symbol": "AUSDT"}');
INSERT INTO "event" VALUES(4,'2026-01-01T00:00:00.000000Z','FillBooked','{"order": 1, "price": "100.2", "quantity": "3.51", "symbol": "AUSDT"}');
INSERT INTO "event" VALUES(5,'2026-01-01T00:00:00.000000Z','FillBooked','{"order": 1, "price": "10.01", "quantity": "16", "symbol": "BUSDT"}');
INSERT INTO "event" VALUES(6,'2026-01-01T00:00:00.000000Z','BatchSettled','{"filled": "7.5", "order": 1, "plan": 1, "units": "7.5", "wanted": "7.5"}');
INSERT INTO "event" VALUES(7,'2026-01-01T00:00:00.000000Z','OrderEnded','{"filled": "7.5", "order": 1, "status": "filled", "stopped_by": "filled"}');
INSERT INTO "event" VALUES(8,'2026-01-01T00:00:01.000000Z','OrderAccepted','{"index": "TWO", "order": 2, "quantity": "2.25", "side": "sell"}');
INSERT INTO "event" VALUES(9,'2026-01-01T00:00:01.000000Z','BatchPlanned','{"asset_orders": 2, "order": 2, "plan": 2, "units": "2.25"}');
INSERT INTO "event" VALUES(10,'2026-01-01T00:00:01.000000Z','FillBooked','{"order": 2, "price": "99.9", "quantity": "2.25", "symbol": "AUSDT"}');
INSERT INTO "event" VALUES(11,'2026-01-01T00:00:01.000000Z','FillBooked','{"order": 2, "price": "9.99", "quantity": "5", "symbol": "BUSDT"}');
INSERT INTO "event" VALUES(12,'2026-01-01T00:00:01.000000Z','BatchSettled','{"filled": "2.25", "order": 2, "plan": 2, "units": "2.25", "wanted": "2.25"}');
INSERT INTO "event" VALUES(13,'2026-01-01T00:00:01.000000Z','OrderEnded','{"filled": "2.25", "order": 2, "status": "filled", "stopped_by": "filled"}');
INSERT INTO "event" VALUES(14,'2026-01-01T00:00:02.000000Z','OrderAccepted','{"index": "TWO", "order": 3, "quantity": "2", "side": "buy"}');
INSERT INTO "event" VALUES(15,'2026-01-01T00:00:02.000000Z','BatchPlanned','{"asset_orders": 2, "order": 3, "plan": 3, "units": "2"}');
INSERT INTO "event" VALUES(16,'2026-01-01T00:00:02.000000Z','FillBooked','{"order": 3, "price": "100.2", "quantity": "0.49", "symbol": "AUSDT"}');
INSERT INTO "event" VALUES(17,'2026-01-01T00:00:02.000000Z','FillBooked','{"order": 3, "price": "100.3", "quantity": "1.51", "symbol": "AUSDT"}');
INSERT INTO "event" VALUES(18,'2026-01-01T00:00:02.000000Z','BatchSettled','{"filled": "0.242", "order": 3, "plan": 3, "units": "0.242", "wanted": "2"}');
INSERT INTO "event" VALUES(19,'2026-01-01T00:00:03.000000Z','BatchPlanned','{"asset_orders": 1, "order": 3, "plan": 4, "units": "0"}');
INSERT INTO "event" VALUES(20,'2026-01-01T00:00:03.000000Z','FillBooked','{"order": 3, "price": "99.9", "quantity": "1.75", "symbol": "AUSDT"}');
INSERT INTO "event" VALUES(21,'2026-01-01T00:00:04.000000Z','OrderEnded','{"filled": "0.242", "order": 3, "status": "ended", "stopped_by": "limit"}');
CREATE TABLE fill (
	id INTEGER NOT NULL, 
	account_id INTEGER NOT NULL, 
	era VARCHAR(64) NOT NULL, 
	symbol VARCHAR(20) NOT NULL, 
	venue_order_id BIGINT NOT NULL, 
	trade_id BIGINT NOT NULL, 
	asset_order_id INTEGER NOT NULL, 
	side VARCHAR(4) NOT NULL, 
	price TEXT NOT NULL, 
	quantity TEXT NOT NULL, 
	value TEXT NOT NULL, 
	fee TEXT NOT NULL, 
	fee_asset VARCHAR(20) NOT NULL, 
	is_maker INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	seal VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (account_id, era, symbol, venue_order_id, trade_id), 
	FOREIGN KEY(account_id) REFERENCES account (id), 
	FOREIGN KEY(asset_order_id) REFERENCES asset_order (id)
);
INSERT INTO "fill" VALUES(1,1,'6959dddd23e85ff3','AUSDT',1,1,1,'buy','100.1','4','400.4','0.004','A',0,'2026-01-01T00:00:00.000000Z','a5256ac095375993a23ba4b4b63eae1df26d574ed9954337c3ed7b9d6c0fe173');
INSERT INTO "fill" VALUES(2,1,'6959dddd23e85ff3','AUSDT',1,2,1,'buy','100.2','3.51','351.702','0.00351','A',0,'2026-01-01T00:00:00.000000Z','2e35b3201ac8254b02dbf0c599f780c2cb0cf5a38acbf3be0688608a9e221aeb');
INSERT INTO "fill" VALUES(3,1,'6959dddd23e85ff3','BUSDT',2,1,2,'buy','10.01','16','160.16','0.016','B',0,'2026-01-01T00:00:00.000000Z','cb80ffea03d9357701820592aa37d42452f41934e509c6c10bd909339eb4014e');
INSERT INTO "fill" VALUES(4,1,'6959dddd23e85ff3','AUSDT',3,3,3,'sell','99.9','2.25','224.775','0.224775','USDT',0,'2026-01-01T00:00:01.000000Z','60e0380220637662d62cc0276737cc330128426b2cd99fde8332069a8ac6c8c5');
INSERT INTO "fill" VALUES(5,1,'6959dddd23e85ff3','BUSDT',4,2,4,'sell','9.99','5','49.95','0.04995','USDT',0,'2026-01-01T00:00:01.000000Z','fd62d4d5f1c65ff49beec5945810a9e4350d72a1fa9bf00cefc80479e291a9a4');
INSERT INTO "fill" VALUES(6,1,'6959dddd23e85ff3','AUSDT',5,4,5,'buy','100.2','0.49','49.098','0.00049','A',0,'2026-01-01T00:00:02.000000Z','55db167d27cb59ab347f63535dc80d5afcfc4c3feca50e78d0fc650ef9726474');
INSERT INTO "fill" VALUES(7,1,'6959dddd23e85ff3','AUSDT',5,5,5,'buy','100.3','1.51','151.453','0.00151','A',0,'2026-01-01T00:00:02.000000Z','330b6809346f6827cbc801c5b1afc70f59c6c7029525d8498cc4d903bd3c8453');
INSERT INTO "fill" VALUES(8,1,'6959dddd23e85ff3','AUSDT',7,6,7,'sell','99.9','1.75','174.825','0.174825','USDT',0,'2026-01-01T00:00:03.000000Z','87cd6199077772757a9ad4c562c8b73494088e34c15f85adc56f292300ba1f8f');
CREATE TABLE holder (
	id INTEGER NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	created_at TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "holder" VALUES(1,'self','2026-01-01T00:00:00.000000Z');
CREATE TABLE incarnation (
	id INTEGER NOT NULL, 
	token VARCHAR(8) NOT NULL, 
	reason VARCHAR(16) NOT NULL, 
	created_at TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (token)
);
INSERT INTO "incarnation" VALUES(1,'58a887db','init','2026-01-01T00:00:00.000000Z');
CREATE TABLE "index" (
	id INTEGER NOT NULL, 
	account_id INTEGER NOT NULL, 
	symbol VARCHAR(20) NOT NULL, 
	name TEXT NOT NULL, 
	quote VARCHAR(20) NOT NULL, 
	start_value TEXT NOT NULL, 
	lot_method VARCHAR(8) NOT NULL, 
	status VARCHAR(8) NOT NULL, 
	created_at TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(account_id) REFERENCES account (id), 
	UNIQUE (symbol)
);
INSERT INTO "index" VALUES(1,1,'TWO','Two','USDT','1000','fifo','open','2026-01-01T00:00:00.000000Z');
CREATE TABLE index_order (
	id INTEGER NOT NULL, 
	account_id INTEGER NOT NULL, 
	index_id INTEGER NOT NULL, 
	position_id INTEGER NOT NULL, 
	client_key VARCHAR(64) NOT NULL, 
	request TEXT NOT NULL, 
	side VARCHAR(4) NOT NULL, 
	quantity TEXT NOT NULL, 
	filled TEXT NOT NULL, 
	limit_price TEXT, 
	max_loss_bps TEXT, 
	time_in_force VARCHAR(16) NOT NULL, 
	expires_at TEXT, 
	status VARCHAR(12) NOT NULL, 
	stopped_by TEXT NOT NULL, 
	cancel_requested_at TEXT, 
	accepted_at TEXT NOT NULL, 
	ended_at TEXT, 
	arrival TEXT NOT NULL, 
	arrival_nav TEXT NOT NULL, 
	seal VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(account_id) REFERENCES account (id), 
	FOREIGN KEY(index_id) REFERENCES "index" (id), 
	FOREIGN KEY(position_id) REFERENCES position (id), 
	UNIQUE (client_key)
);
INSERT INTO "index_order" VALUES(1,1,1,1,'key-cfed2e388b39a8a5','{"index":1,"limit":"121","max_loss":null,"position":"","quantity":"7.5","side":"buy","tif":"now"}','buy','7.5','7.5','121',NULL,'now',NULL,'filled','filled',NULL,'2026-01-01T00:00:00.000000Z','2026-01-01T00:00:00.000000Z','{"A":"100","B":"10"}','120','bd6d039de280d281b416b6ad8d848ca03a45973dd7624bbb125ad843dae8cf5d');
INSERT INTO "index_order" VALUES(2,1,1,1,'key-2d37a4a5878dfec5','{"index":1,"limit":null,"max_loss":null,"position":"","quantity":"2.25","side":"sell","tif":"now"}','sell','2.25','2.25',NULL,NULL,'now',NULL,'filled','filled',NULL,'2026-01-01T00:00:01.000000Z','2026-01-01T00:00:01.000000Z','{"A":"100.05","B":"10"}','120.05','f7b1ebf4b5e121082d1799a3021d2808b1cad6f8c64f179f0795cd801e926081');
INSERT INTO "index_order" VALUES(3,1,1,1,'key-96479f064fb55eb1','{"index":1,"limit":"121","max_loss":null,"position":"","quantity":"2","side":"buy","tif":"now"}','buy','2','0.242','121',NULL,'now',NULL,'ended','limit',NULL,'2026-01-01T00:00:02.000000Z','2026-01-01T00:00:04.000000Z','{"A":"100.05","B":"10"}','120.05','371926ccca2df6ec4de5564154c2ad38dcd949a68f4e2752c15d0c87e5d81851');
CREATE TABLE lease (
	account_id INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	host VARCHAR(255), 
	process INTEGER, 
	process_start VARCHAR(64), 
	heartbeat_at TEXT, 
	PRIMARY KEY (account_id), 
	FOREIGN KEY(account_id) REFERENCES account (id)
);
INSERT INTO "lease" VALUES(1,3,NULL,NULL,NULL,'2026-11-21T07:44:35.012505Z');
CREATE TABLE lot (
	id INTEGER NOT NULL, 
	account_id INTEGER NOT NULL, 
	transaction_id INTEGER NOT NULL, 
	account VARCHAR(80) NOT NULL, 
	asset VARCHAR(20) NOT NULL, 
	acquired_at TEXT NOT NULL, 
	quantity TEXT NOT NULL, 
	cost TEXT NOT NULL, 
	open_quantity TEXT NOT NULL, 
	open_cost TEXT NOT NULL, 
	is_open INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(account_id) REFERENCES account (id), 
	FOREIGN KEY(transaction_id) REFERENCES "transaction" (id)
);
INSERT INTO "lot" VALUES(1,1,4,'order:1','A','2026-01-01T00:00:00.000000Z','3.996','400.4','0','0',0);
INSERT INTO "lot" VALUES(2,1,5,'order:1','A','2026-01-01T00:00:00.000000Z','3.50649','351.702','0','0',0);
INSERT INTO "lot" VALUES(3,1,6,'order:1','B','2026-01-01T00:00:00.000000Z','15.984','160.16','0','0',0);
INSERT INTO "lot" VALUES(4,1,7,'float:1','A','2026-01-01T00:00:00.000000Z','0.00249','0.249','0.00249','0.249',1);
INSERT INTO "lot" VALUES(5,1,7,'float:1','B','2026-01-01T00:00:00.000000Z','0.984','9.84','0','0',0);
INSERT INTO "lot" VALUES(6,1,7,'index:1','A','2026-01-01T00:00:00.000000Z','7.5','751.852501501501501502','5.25','526.296751051051051052',1);
INSERT INTO "lot" VALUES(7,1,7,'index:1','B','2026-01-01T00:00:00.000000Z','15','150.300300300300300301','10.5','105.210210210210210211',1);
INSERT INTO "lot" VALUES(8,1,7,'position:1','unit:1','2026-01-01T00:00:00.000000Z','7.5','902.173','5.25','631.5211',1);
INSERT INTO "lot" VALUES(9,1,10,'order:2','A','2026-01-01T00:00:01.000000Z','2.25','225.55575045045045045','0','0',0);
INSERT INTO "lot" VALUES(10,1,10,'order:2','B','2026-01-01T00:00:01.000000Z','4.5','45.09009009009009009','0','0',0);
INSERT INTO "lot" VALUES(11,1,10,'order:2','B','2026-01-01T00:00:01.000000Z','0.5','5','0','0',0);
INSERT INTO "lot" VALUES(12,1,16,'order:3','A','2026-01-01T00:00:02.000000Z','0.48951','49.098','0','0',0);
INSERT INTO "lot" VALUES(13,1,17,'order:3','A','2026-01-01T00:00:02.000000Z','1.50849','151.453','0','0',0);
INSERT INTO "lot" VALUES(14,1,18,'order:3','B','2026-01-01T00:00:02.000000Z','0.484','4.84','0','0',0);
INSERT INTO "lot" VALUES(15,1,18,'index:1','A','2026-01-01T00:00:02.000000Z','0.242','24.272672672672672672','0.242','24.272672672672672672',1);
INSERT INTO "lot" VALUES(16,1,18,'index:1','B','2026-01-01T00:00:02.000000Z','0.484','4.84','0.484','4.84',1);
INSERT INTO "lot" VALUES(17,1,18,'position:1','unit:1','2026-01-01T00:00:02.000000Z','0.242','30.140225','0.242','30.140225',1);
INSERT INTO "lot" VALUES(18,1,20,'float:1','A','2026-01-01T00:00:04.000000Z','0.006','0.6006','0.006','0.6006',1);
CREATE TABLE methodology (
	id INTEGER NOT NULL, 
	index_id INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	effective_at TEXT NOT NULL, 
	document TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (index_id, version), 
	FOREIGN KEY(index_id) REFERENCES "index" (id)
);
INSERT INTO "methodology" VALUES(1,1,1,'2026-01-01T00:00:00.000000Z','{"basket":{"A":"1","B":"2"},"lot_method":"fifo","name":"Two","quote":"USDT","start_value":"1000","symbol":"TWO","weights":{}}');
CREATE TABLE "plan" (
	id INTEGER NOT NULL, 
	index_order_id INTEGER NOT NULL, 
	basket_id INTEGER NOT NULL, 
	purpose VARCHAR(8) NOT NULL, 
	status VARCHAR(8) NOT NULL, 
	created_at TEXT NOT NULL, 
	settled_at TEXT, 
	units TEXT NOT NULL, 
	method VARCHAR(16) NOT NULL, 
	cost TEXT NOT NULL, 
	bound TEXT NOT NULL, 
	gap_bps TEXT NOT NULL, 
	book_hash VARCHAR(64) NOT NULL, 
	document TEXT NOT NULL, 
	seal VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(index_order_id) REFERENCES index_order (id), 
	FOREIGN KEY(basket_id) REFERENCES basket (id)
);
INSERT INTO "plan" VALUES(1,1,1,'trade','settled','2026-01-01T00:00:00.000000Z','2026-01-01T00:00:00.000000Z','7.5','closed_form','912.262','902.15255255255255250155','112.3272','e8050ac6db5fd2d2036459ad21c31f5a7cea48c4b10812079dd3a90b9807faf6','{"arrival_nav":"120","average_price":"120.28973333","basket_version":1,"book_hash":"e8050ac6db5fd2d2036459ad21c31f5a7cea48c4b10812079dd3a90b9807faf6","bound":"902.15255255255255250155","bounds":{"A":"0.06","B":"1"},"cash":"902.173","cost":"912.262","delay":"0","depth":"0.350649","fee":"0.912262","fill_percentage":"100","gap_bps":"112.3272","index":"TWO","legs":[{"asset":"A","delay":"0","depth":"0.350649","fee":"0.752102","fee_in_kind":"0.00751","last_price":"100.2","limit_price":"100.21","loss":"1.853","mid":"100","quantity":"7.51","rounding":"0","spread":"0.750249","surplus":"0.00249","symbol":"AUSDT","touch":"100.1","value":"752.102"},{"asset":"B","delay":"0","depth":"0","fee":"0.16016","fee_in_kind":"0.016","last_price":"10.01","limit_price":"10.02","loss":"0.32","mid":"10","quantity":"16","rounding":"0","spread":"0.15984","surplus":"0.984","symbol":"BUSDT","touch":"10.01","value":"160.16"}],"loss":"2.173","loss_bps":"24.1444","marginal_price":"120.34034034034034034","method":"closed_form","mids":{"A":"100","B":"10"},"nav":"120","quantity":"7.5","rounding":"0","rounding_bps":"112.3272","side":"buy","spread":"0.910089","stopped_by":["filled"],"units":"7.5"}','dfe77e17a799c714d9f95d2037dc8093b0943b72186f2b5b8c8550c0f16caf4a');
INSERT INTO "plan" VALUES(2,2,1,'trade','settled','2026-01-01T00:00:01.000000Z','2026-01-01T00:00:01.000000Z','2.25','closed_form','274.450275','279.529102089','188.0264','9048c5d8c32e63dfd49c03da8e24c5a2fee15e1536d964de45922c5b977bc451','{"arrival_nav":"120.05","average_price":"119.75567778","basket_version":1,"book_hash":"9048c5d8c32e63dfd49c03da8e24c5a2fee15e1536d964de45922c5b977bc451","bound":"279.529102089","bounds":{"A":"0.06","B":"1"},"cash":"269.450275","cost":"274.450275","delay":"0","depth":"0","fee":"0.274725","fill_percentage":"100","gap_bps":"188.0264","index":"TWO","legs":[{"asset":"A","delay":"0","depth":"0","fee":"0.224775","fee_in_kind":"0.224775","last_price":"99.9","limit_price":"99.89","loss":"0.562275","mid":"100.05","quantity":"2.25","rounding":"0","spread":"0.3375","surplus":"0","symbol":"AUSDT","touch":"99.9","value":"224.775"},{"asset":"B","delay":"0","depth":"0","fee":"0.04995","fee_in_kind":"0.04995","last_price":"9.99","limit_price":"9.98","loss":"0.09995","mid":"10","quantity":"5","rounding":"0","spread":"0.05","surplus":"-0.5","symbol":"BUSDT","touch":"9.99","value":"49.95"}],"loss":"0.662225","loss_bps":"24.5166","marginal_price":"119.76012","method":"closed_form","mids":{"A":"100.05","B":"10"},"nav":"120.05","quantity":"2.25","rounding":"0","rounding_bps":"188.0264","side":"sell","spread":"0.3875","stopped_by":["filled"],"units":"2.25"}','42937a1c2fed9b01b3cbf50b0e0893f5f80829a5b918e0e15acc2a94dbe3b654');
INSERT INTO "plan" VALUES(3,3,1,'trade','settled','2026-01-01T00:00:02.000000Z','2026-01-01T00:00:02.000000Z','2','closed_form','240.591','235.73219419419419413789','202.3659','ee290e73ba1042754e7d348b9fd67a2bb2912fdad37c5b9e4d76baf42f9c5d2b','{"arrival_nav":"120.05","average_price":"120.41555","basket_version":1,"book_hash":"ee290e73ba1042754e7d348b9fd67a2bb2912fdad37c5b9e4d76baf42f9c5d2b","bound":"235.73219419419419413789","bounds":{"A":"0.06","B":"1"},"cash":"240.8311","cost":"240.591","delay":"0","depth":"0.150849","fee":"0.240591","fill_percentage":"100","gap_bps":"202.3659","index":"TWO","legs":[{"asset":"A","delay":"0","depth":"0.150849","fee":"0.200551","fee_in_kind":"0.002","last_price":"100.3","limit_price":"100.31","loss":"0.6511","mid":"100.05","quantity":"2","rounding":"0","spread":"0.2997","surplus":"-0.002","symbol":"AUSDT","touch":"100.2","value":"200.551"},{"asset":"B","delay":"0","depth":"0","fee":"0.04004","fee_in_kind":"0.004","last_price":"10.01","limit_price":"10.02","loss":"0.08","mid":"10","quantity":"4","rounding":"0","spread":"0.03996","surplus":"-0.004","symbol":"BUSDT","touch":"10.01","value":"40.04"}],"loss":"0.7311","loss_bps":"30.4498","marginal_price":"120.44044044044044044","method":"closed_form","mids":{"A":"100.05","B":"10"},"nav":"120.05","quantity":"2","rounding":"0","rounding_bps":"202.3659","side":"buy","spread":"0.33966","stopped_by":["filled"],"units":"2"}','3c0432172629b48c22b267d32ed275bb09835d98fc777b2df91ea8ba858e4341');
INSERT INTO "plan" VALUES(4,3,1,'unwind','settled','2026-01-01T00:00:03.000000Z','2026-01-01T00:00:03.000000Z','0','unwind','174.650175','174.650175','0','a80edf0d3b30acba0914d3d2563b193fa7b1ba088468f64235cd513d95c21344','{"arrival_nav":"120.05","average_price":null,"basket_version":1,"book_hash":"a80edf0d3b30acba0914d3d2563b193fa7b1ba088468f64235cd513d95c21344","bound":"174.650175","bounds":{"A":"0.06","B":"1"},"cash":"174.650175","cost":"174.650175","delay":"-0.0875","depth":"0","fee":"0.174825","fill_percentage":"0","gap_bps":"0","index":"TWO","legs":[{"asset":"A","delay":"-0.0875","depth":"0","fee":"0.174825","fee_in_kind":"0.174825","last_price":"99.9","limit_price":"99.9","loss":"0.437325","mid":"100.1","quantity":"1.75","rounding":"0","spread":"0.35","surplus":"0","symbol":"AUSDT","touch":"99.9","value":"174.825"}],"loss":"0.437325","loss_bps":"0","marginal_price":"0","method":"unwind","mids":{"A":"100.1","B":"10.55"},"nav":"121.2","quantity":"0","rounding":"0","rounding_bps":"0","side":"sell","spread":"0.35","stopped_by":["filled"],"units":"0"}','6bd500001e5cdf6001d39af4dcd8d637a5c0539e9f2bb0e6bb6b499bdabd6850');
CREATE TABLE position (
	id INTEGER NOT NULL, 
	index_id INTEGER NOT NULL, 
	holder_id INTEGER NOT NULL, 
	opened_at TEXT NOT NULL, 
	units TEXT NOT NULL, 
	cost TEXT NOT NULL, 
	seal VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(index_id) REFERENCES "index" (id), 
	FOREIGN KEY(holder_id) REFERENCES holder (id)
);
INSERT INTO "position" VALUES(1,1,1,'2026-01-01T00:00:00.000000Z','5.492','661.661325','575904958bf55429c87e4c298ea1eaa02879e5ad7a4ac6d08a098cb33772dec3');
CREATE TABLE posting (
	transaction_id INTEGER NOT NULL, 
	line INTEGER NOT NULL, 
	account VARCHAR(80) NOT NULL, 
	asset VARCHAR(20) NOT NULL, 
	amount TEXT NOT NULL, 
	balance TEXT NOT NULL, 
	PRIMARY KEY (transaction_id, line), 
	FOREIGN KEY(transaction_id) REFERENCES "transaction" (id)
);
INSERT INTO "posting" VALUES(1,1,'capital:self','USDT','-1000000','-1000000');
INSERT INTO "posting" VALUES(1,2,'treasury:self','USDT','1000000','1000000');
INSERT INTO "posting" VALUES(2,1,'treasury:self','USDT','-1000','999000');
INSERT INTO "posting" VALUES(2,2,'float:1','USDT','1000','1000');
INSERT INTO "posting" VALUES(3,1,'treasury:self','USDT','-937.53','998062.47');
INSERT INTO "posting" VALUES(3,2,'order:1','USDT','937.53','937.53');
INSERT INTO "posting" VALUES(4,1,'market','A','-4','-4');
INSERT INTO "posting" VALUES(4,2,'order:1','A','3.996','3.996');
INSERT INTO "posting" VALUES(4,3,'order:1','USDT','-400.4','537.13');
INSERT INTO "posting" VALUES(4,4,'market','USDT','400.4','400.4');
INSERT INTO "posting" VALUES(4,5,'venue_fees','A','0.004','0.004');
INSERT INTO "posting" VALUES(5,1,'market','A','-3.51','-7.51');
INSERT INTO "posting" VALUES(5,2,'order:1','A','3.50649','7.50249');
INSERT INTO "posting" VALUES(5,3,'order:1','USDT','-351.702','185.428');
INSERT INTO "posting" VALUES(5,4,'market','USDT','351.702','752.102');
INSERT INTO "posting" VALUES(5,5,'venue_fees','A','0.00351','0.00751');
INSERT INTO "posting" VALUES(6,1,'market','B','-16','-16');
INSERT INTO "posting" VALUES(6,2,'order:1','B','15.984','15.984');
INSERT INTO "posting" VALUES(6,3,'order:1','USDT','-160.16','25.268');
INSERT INTO "posting" VALUES(6,4,'market','USDT','160.16','912.262');
INSERT INTO "posting" VALUES(6,5,'venue_fees','B','0.016','0.016');
INSERT INTO "posting" VALUES(7,1,'order:1','A','-7.50249','0');
INSERT INTO "posting" VALUES(7,2,'float:1','A','0.00249','0.00249');
INSERT INTO "posting" VALUES(7,3,'order:1','B','-15.984','0');
INSERT INTO "posting" VALUES(7,4,'float:1','B','0.984','0.984');
INSERT INTO "posting" VALUES(7,5,'float:1','USDT','-10.089','989.911');
INSERT INTO "posting" VALUES(7,6,'order:1','USDT','10.089','35.357');
INSERT INTO "posting" VALUES(7,7,'index:1','A','7.5','7.5');
INSERT INTO "posting" VALUES(7,8,'index:1','B','15','15');
INSERT INTO "posting" VALUES(7,9,'issued:1','unit:1','-7.5','-7.5');
INSERT INTO "posting" VALUES(7,10,'position:1','unit:1','7.5','7.5');
INSERT INTO "posting" VALUES(8,1,'order:1','USDT','-35.357','0');
INSERT INTO "posting" VALUES(8,2,'treasury:self','USDT','35.357','998097.827');
INSERT INTO "posting" VALUES(9,1,'position:1','unit:1','-2.25','5.25');
INSERT INTO "posting" VALUES(9,2,'order:2','unit:1','2.25','2.25');
INSERT INTO "posting" VALUES(10,1,'index:1','A','-2.25','5.25');
INSERT INTO "posting" VALUES(10,2,'order:2','A','2.25','2.25');
INSERT INTO "posting" VALUES(10,3,'index:1','B','-4.5','10.5');
INSERT INTO "posting" VALUES(10,4,'order:2','B','5','5');
INSERT INTO "posting" VALUES(10,5,'float:1','B','-0.5','0.484');
INSERT INTO "posting" VALUES(10,6,'order:2','unit:1','-2.25','0');
INSERT INTO "posting" VALUES(10,7,'redeemed:2','unit:1','2.25','2.25');
INSERT INTO "posting" VALUES(11,1,'market','A','2.25','-5.26');
INSERT INTO "posting" VALUES(11,2,'order:2','A','-2.25','0');
INSERT INTO "posting" VALUES(11,3,'order:2','USDT','224.550225','224.550225');
INSERT INTO "posting" VALUES(11,4,'market','USDT','-224.775','687.487');
INSERT INTO "posting" VALUES(11,5,'venue_fees','USDT','0.224775','0.224775');
INSERT INTO "posting" VALUES(12,1,'market','B','5','-11');
INSERT INTO "posting" VALUES(12,2,'order:2','B','-5','0');
INSERT INTO "posting" VALUES(12,3,'order:2','USDT','49.90005','274.450275');
INSERT INTO "posting" VALUES(12,4,'market','USDT','-49.95','637.537');
INSERT INTO "posting" VALUES(12,5,'venue_fees','USDT','0.04995','0.274725');
INSERT INTO "posting" VALUES(13,1,'order:2','USDT','-5','269.450275');
INSERT INTO "posting" VALUES(13,2,'float:1','USDT','5','994.911');
INSERT INTO "posting" VALUES(13,3,'redeemed:2','unit:1','-2.25','0');
INSERT INTO "posting" VALUES(13,4,'issued:1','unit:1','2.25','-5.25');
INSERT INTO "posting" VALUES(14,1,'order:2','USDT','-269.450275','0');
INSERT INTO "posting" VALUES(14,2,'treasury:self','USDT','269.450275','998367.277275');
INSERT INTO "posting" VALUES(15,1,'treasury:self','USDT','-272.04','998095.237275');
INSERT INTO "posting" VALUES(15,2,'order:3','USDT','272.04','272.04');
INSERT INTO "posting" VALUES(16,1,'market','A','-0.49','-5.75');
INSERT INTO "posting" VALUES(16,2,'order:3','A','0.48951','0.48951');
INSERT INTO "posting" VALUES(16,3,'order:3','USDT','-49.098','222.942');
INSERT INTO "posting" VALUES(16,4,'market','USDT','49.098','686.635');
INSERT INTO "posting" VALUES(16,5,'venue_fees','A','0.00049','0.008');
INSERT INTO "posting" VALUES(17,1,'market','A','-1.51','-7.26');
INSERT INTO "posting" VALUES(17,2,'order:3','A','1.50849','1.998');
INSERT INTO "posting" VALUES(17,3,'order:3','USDT','-151.453','71.489');
INSERT INTO "posting" VALUES(17,4,'market','USDT','151.453','838.088');
INSERT INTO "posting" VALUES(17,5,'venue_fees','A','0.00151','0.00951');
INSERT INTO "posting" VALUES(18,1,'float:1','B','-0.484','0');
INSERT INTO "posting" VALUES(18,2,'float:1','USDT','4.84','999.751');
INSERT INTO "posting" VALUES(18,3,'order:3','USDT','-4.84','66.649');
INSERT INTO "posting" VALUES(18,4,'order:3','A','-0.242','1.756');
INSERT INTO "posting" VALUES(18,5,'index:1','A','0.242','5.492');
INSERT INTO "posting" VALUES(18,6,'index:1','B','0.484','10.984');
INSERT INTO "posting" VALUES(18,7,'issued:1','unit:1','-0.242','-5.492');
INSERT INTO "posting" VALUES(18,8,'position:1','unit:1','0.242','5.492');
INSERT INTO "posting" VALUES(19,1,'market','A','1.75','-5.51');
INSERT INTO "posting" VALUES(19,2,'order:3','A','-1.75','0.006');
INSERT INTO "posting" VALUES(19,3,'order:3','USDT','174.650175','241.299175');
INSERT INTO "posting" VALUES(19,4,'market','USDT','-174.825','663.263');
INSERT INTO "posting" VALUES(19,5,'venue_fees','USDT','0.174825','0.44955');
INSERT INTO "posting" VALUES(20,1,'order:3','A','-0.006','0');
INSERT INTO "posting" VALUES(20,2,'float:1','A','0.006','0.00849');
INSERT INTO "posting" VALUES(20,3,'float:1','USDT','-0.6006','999.1504');
INSERT INTO "posting" VALUES(20,4,'order:3','USDT','0.6006','241.899775');
INSERT INTO "posting" VALUES(21,1,'order:3','USDT','-241.899775','0');
INSERT INTO "posting" VALUES(21,2,'treasury:self','USDT','241.899775','998337.13705');
CREATE TABLE slot_use (
	account_id INTEGER NOT NULL, 
	seconds INTEGER NOT NULL, 
	window_start TEXT NOT NULL, 
	used INTEGER NOT NULL, 
	PRIMARY KEY (account_id, seconds, window_start), 
	FOREIGN KEY(account_id) REFERENCES account (id)
);
INSERT INTO "slot_use" VALUES(1,10,'2026-01-01T00:00:00.000000Z',7);
INSERT INTO "slot_use" VALUES(1,86400,'2026-01-01T00:00:00.000000Z',7);
CREATE TABLE "transaction" (
	id INTEGER NOT NULL, 
	account_id INTEGER NOT NULL, 
	sequence INTEGER NOT NULL, 
	"key" VARCHAR(128) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	at TEXT NOT NULL, 
	index_order_id INTEGER, 
	narration TEXT NOT NULL, 
	evidence TEXT NOT NULL, 
	previous_hash VARCHAR(64) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (account_id, sequence), 
	UNIQUE (account_id, "key"), 
	FOREIGN KEY(account_id) REFERENCES account (id), 
	FOREIGN KEY(index_order_id) REFERENCES index_order (id)
);
INSERT INTO "transaction" VALUES(1,1,1,'transfer:first','deposit','2026-01-01T00:00:00.000000Z',NULL,'deposit of 1000000 USDT for self','{"facts":{},"lots":[]}','0000000000000000000000000000000000000000000000000000000000000000','0a58b9dd7272b2652968a9e12604ea7f1c70943546e40858fd004fcdef4b98a2');
INSERT INTO "transaction" VALUES(2,1,2,'funding:1:2','funding','2026-01-01T00:00:00.000000Z',NULL,'float of index 1: 1000 USDT','{"facts":{},"lots":[]}','0a58b9dd7272b2652968a9e12604ea7f1c70943546e40858fd004fcdef4b98a2','4e7b723c4febc55d8f313f7a93ef2b105777181c98a6b06971c76964536be5ad');
INSERT INTO "transaction" VALUES(3,1,3,'accept:1','accept','2026-01-01T00:00:00.000000Z',1,'order 1 accepted','{"facts":{"reserved":"937.53"},"lots":[]}','4e7b723c4febc55d8f313f7a93ef2b105777181c98a6b06971c76964536be5ad','598f05af0cf125581afc054975f929310af2e8745839ca9c015730aa61c9ad75');
INSERT INTO "transaction" VALUES(4,1,4,'fill:6959dddd23e85ff3:AUSDT:1:1','fill','2026-01-01T00:00:00.000000Z',1,'buy 4 AUSDT at 100.1','{"facts":{"seal":"a5256ac095375993a23ba4b4b63eae1df26d574ed9954337c3ed7b9d6c0fe173"},"lots":[["acquire","order:1","A","3.996","400.4","0","","fifo"]]}','598f05af0cf125581afc054975f929310af2e8745839ca9c015730aa61c9ad75','6b8ccd1c801798e0718fe545205149e576955125d8a1c2e14cae94af6b2ebdd3');
INSERT INTO "transaction" VALUES(5,1,5,'fill:6959dddd23e85ff3:AUSDT:1:2','fill','2026-01-01T00:00:00.000000Z',1,'buy 3.51 AUSDT at 100.2','{"facts":{"seal":"2e35b3201ac8254b02dbf0c599f780c2cb0cf5a38acbf3be0688608a9e221aeb"},"lots":[["acquire","order:1","A","3.50649","351.702","0","","fifo"]]}','6b8ccd1c801798e0718fe545205149e576955125d8a1c2e14cae94af6b2ebdd3','dbbbbd29e19be9451c38d32e9bf28ae81aad0e5e2065590a9b24d211fc619161');
INSERT INTO "transaction" VALUES(6,1,6,'fill:6959dddd23e85ff3:BUSDT:2:1','fill','2026-01-01T00:00:00.000000Z',1,'buy 16 BUSDT at 10.01','{"facts":{"seal":"cb80ffea03d9357701820592aa37d42452f41934e509c6c10bd909339eb4014e"},"lots":[["acquire","order:1","B","15.984","160.16","0","","fifo"]]}','dbbbbd29e19be9451c38d32e9bf28ae81aad0e5e2065590a9b24d211fc619161','46be83ccab7afefa8ac41eb495b536a995bcdc9b3326ad40959e7e3762ebce3d');
INSERT INTO "transaction" VALUES(7,1,7,'credit:1','credit','2026-01-01T00:00:00.000000Z',1,'7.5 units credited to order 1','{"facts":{"cash":"902.173","mids":{"A":"100","B":"10"},"plan":1,"surplus":{"A":"0.00249","B":"0.984"},"units":"7.5"},"lots":[["dispose","order:1","A","0.00249","0.249","0","","fifo"],["acquire","float:1","A","0.00249","0.249","0","","fifo"],["dispose","order:1","B","0.984","9.84","0","","fifo"],["acquire","float:1","B","0.984","9.84","0","","fifo"],["move","order:1","A","7.5","0","0","index:1","fifo"],["move","order:1","B","15","0","0","index:1","fifo"],["acquire","position:1","unit:1","7.5","902.173","0","","fifo"]]}','46be83ccab7afefa8ac41eb495b536a995bcdc9b3326ad40959e7e3762ebce3d','6aeb20a3eaff9fe0a5535dfb21f09c67e760ecd926881cd043df4e8c21d0561e');
INSERT INTO "transaction" VALUES(8,1,8,'release:1','release','2026-01-01T00:00:00.000000Z',1,'order 1 ended','{"facts":{},"lots":[]}','6aeb20a3eaff9fe0a5535dfb21f09c67e760ecd926881cd043df4e8c21d0561e','2004f50b03d02754e0a24fff69692122220eea76d9b10736f0551c926dda644c');
INSERT INTO "transaction" VALUES(9,1,9,'accept:2','accept','2026-01-01T00:00:01.000000Z',2,'order 2 accepted','{"facts":{"reserved":"2.25"},"lots":[]}','2004f50b03d02754e0a24fff69692122220eea76d9b10736f0551c926dda644c','742085138170399b0c4a882b75a0ddacd4dbeb5bcc49fdc0d3a1a0621c547213');
INSERT INTO "transaction" VALUES(10,1,10,'redeem:2','redeem','2026-01-01T00:00:01.000000Z',2,'2.25 units offered by order 2','{"facts":{"cash":"0","lent":{"A":"0","B":"0.5"},"mids":{"A":"100.05","B":"10"},"plan":2,"units":"2.25"},"lots":[["move","index:1","A","2.25","0","0","order:2","fifo"],["move","index:1","B","4.5","0","0","order:2","fifo"],["dispose","float:1","B","0.5","5","0","","fifo"],["acquire","order:2","B","0.5","5","0","","fifo"]]}','742085138170399b0c4a882b75a0ddacd4dbeb5bcc49fdc0d3a1a0621c547213','c6706b7e2f2a65553599c101710c01bdf17ed8c4a5c4b38f13cd166b279e5882');
INSERT INTO "transaction" VALUES(11,1,11,'fill:6959dddd23e85ff3:AUSDT:3:3','fill','2026-01-01T00:00:01.000000Z',2,'sell 2.25 AUSDT at 99.9','{"facts":{"seal":"60e0380220637662d62cc0276737cc330128426b2cd99fde8332069a8ac6c8c5"},"lots":[["dispose","order:2","A","2.25","224.550225","0.224775","","fifo"]]}','c6706b7e2f2a65553599c101710c01bdf17ed8c4a5c4b38f13cd166b279e5882','0de6cb61d13c8aa3c386f6cd82a7d06619d263f496f217d480093d8143930afe');
INSERT INTO "transaction" VALUES(12,1,12,'fill:6959dddd23e85ff3:BUSDT:4:2','fill','2026-01-01T00:00:01.000000Z',2,'sell 5 BUSDT at 9.99','{"facts":{"seal":"fd62d4d5f1c65ff49beec5945810a9e4350d72a1fa9bf00cefc80479e291a9a4"},"lots":[["dispose","order:2","B","5","49.90005","0.04995","","fifo"]]}','0de6cb61d13c8aa3c386f6cd82a7d06619d263f496f217d480093d8143930afe','0eb865be093b0e2e215d20efcf02b70fb1ab954ff29fe7beed0911af51a20aa1');
INSERT INTO "transaction" VALUES(13,1,13,'settle:2','settle','2026-01-01T00:00:01.000000Z',2,'2.25 units redeemed by order 2','{"facts":{"cash":"269.450275","mids":{"A":"100.05","B":"10"},"plan":2,"surplus":{"A":"0","B":"-0.5"},"units":"2.25"},"lots":[["dispose","position:1","unit:1","2.25","269.450275","0","","fifo"]]}','0eb865be093b0e2e215d20efcf02b70fb1ab954ff29fe7beed0911af51a20aa1','b5b4a58973b433a7977c0e87e8eef2b43d3a4e7bbaec8f4f8560d084a361ae8c');
INSERT INTO "transaction" VALUES(14,1,14,'release:2','release','2026-01-01T00:00:01.000000Z',2,'order 2 ended','{"facts":{},"lots":[]}','b5b4a58973b433a7977c0e87e8eef2b43d3a4e7bbaec8f4f8560d084a361ae8c','ad364e72dbb5a0ff0c53c82e17c9936a6a1dfbb7c974806a57d90e328c640677');
INSERT INTO "transaction" VALUES(15,1,15,'accept:3','accept','2026-01-01T00:00:02.000000Z',3,'order 3 accepted','{"facts":{"reserved":"272.04"},"lots":[]}','ad364e72dbb5a0ff0c53c82e17c9936a6a1dfbb7c974806a57d90e328c640677','43a3d01b206c3a3c762e129b1b524162fd248a1da13387d3b9fc6573ff02b5dd');
INSERT INTO "transaction" VALUES(16,1,16,'fill:6959dddd23e85ff3:AUSDT:5:4','fill','2026-01-01T00:00:02.000000Z',3,'buy 0.49 AUSDT at 100.2','{"facts":{"seal":"55db167d27cb59ab347f63535dc80d5afcfc4c3feca50e78d0fc650ef9726474"},"lots":[["acquire","order:3","A","0.48951","49.098","0","","fifo"]]}','43a3d01b206c3a3c762e129b1b524162fd248a1da13387d3b9fc6573ff02b5dd','2ccfaadd0344008576f18ea4f35e15980c54a1a624223e4110054e9666504db6');
INSERT INTO "transaction" VALUES(17,1,17,'fill:6959dddd23e85ff3:AUSDT:5:5','fill','2026-01-01T00:00:02.000000Z',3,'buy 1.51 AUSDT at 100.3','{"facts":{"seal":"330b6809346f6827cbc801c5b1afc70f59c6c7029525d8498cc4d903bd3c8453"},"lots":[["acquire","order:3","A","1.50849","151.453","0","","fifo"]]}','2ccfaadd0344008576f18ea4f35e15980c54a1a624223e4110054e9666504db6','23af92753613a6048ad4e4aec1575304714f2f3da1a2c0a2bfe660f643014679');
INSERT INTO "transaction" VALUES(18,1,18,'credit:3','credit','2026-01-01T00:00:02.000000Z',3,'0.242 units credited to order 3','{"facts":{"cash":"29.112672672672672672","mids":{"A":"100.05","B":"10"},"plan":3,"surplus":{"A":"0","B":"-0.484"},"units":"0.242"},"lots":[["dispose","float:1","B","0.484","4.84","0","","fifo"],["acquire","order:3","B","0.484","4.84","0","","fifo"],["move","order:3","A","0.242","0","0","index:1","fifo"],["move","order:3","B","0.484","0","0","index:1","fifo"],["acquire","position:1","unit:1","0.242","29.112672672672672672","0","","fifo"]]}','23af92753613a6048ad4e4aec1575304714f2f3da1a2c0a2bfe660f643014679','082215c050e7259549f403c9d8497c587abe1dfabda9b3f97d1b2b98bb7048aa');
INSERT INTO "transaction" VALUES(19,1,19,'fill:6959dddd23e85ff3:AUSDT:7:6','fill','2026-01-01T00:00:03.000000Z',3,'sell 1.75 AUSDT at 99.9','{"facts":{"seal":"87cd6199077772757a9ad4c562c8b73494088e34c15f85adc56f292300ba1f8f"},"lots":[["dispose","order:3","A","1.75","174.650175","0.174825","","fifo"]]}','082215c050e7259549f403c9d8497c587abe1dfabda9b3f97d1b2b98bb7048aa','77d824d326cf0baced284fe8631ccb2df7055787833c32e98969cb2dea80e912');
INSERT INTO "transaction" VALUES(20,1,20,'close:3','close','2026-01-01T00:00:04.000000Z',3,'what order 3 held beyond its units went to the float','{"facts":{"cash":"1.027552327327327328","mids":{"A":"100.1"},"surplus":{"A":"0.006"},"units":"0"},"lots":[["dispose","order:3","A","0.006","0.6006","0","","fifo"],["acquire","float:1","A","0.006","0.6006","0","","fifo"],["adjust","position:1","unit:1","0","1.027552327327327328","0","","fifo"]]}','77d824d326cf0baced284fe8631ccb2df7055787833c32e98969cb2dea80e912','4c31a2da24638a0f602ddee1c4b328d1bfd8867457730078171694515b235af2');
INSERT INTO "transaction" VALUES(21,1,21,'release:3','release','2026-01-01T00:00:04.000000Z',3,'order 3 ended','{"facts":{},"lots":[]}','4c31a2da24638a0f602ddee1c4b328d1bfd8867457730078171694515b235af2','01e1e62ac7312d1a1c054304eca55b497972549d2e611f4a5d2b3138d3a3917e');
CREATE INDEX index_order_open ON index_order (account_id, status);
CREATE INDEX plan_of_order ON "plan" (index_order_id);
CREATE INDEX transaction_of_order ON "transaction" (index_order_id);
CREATE INDEX asset_order_of_plan ON asset_order (plan_id);
CREATE INDEX asset_order_open ON asset_order (status);
CREATE INDEX lot_open ON lot (account_id, account, asset, is_open);
CREATE INDEX fill_of_asset_order ON fill (asset_order_id);
COMMIT;
