"""Run the migrations of this section on the connection handed over, or on the URL of alembic.ini."""

from alembic import context

from etf_trader.database import Database


def run(connection) -> None:
    context.configure(connection=connection, render_as_batch=True, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with Database(context.config.get_main_option("sqlalchemy.url")).rebuild() as connection:
        run(connection)
