"""The engines whose servers openrds finds on a host, and can fetch."""

from openrds.domain.engine import EngineName
from openrds.engines.fetching import Recipe
from openrds.engines.mariadb import discovery as mariadb
from openrds.engines.mysql import discovery as mysql
from openrds.engines.postgresql import discovery as postgresql

RECIPES: dict[EngineName, Recipe] = {
    recipe.kind.engine: recipe for recipe in (mysql.RECIPE, mariadb.RECIPE, postgresql.RECIPE)
}
