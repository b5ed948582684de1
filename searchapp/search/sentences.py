"""Sentences to calibrate good matches with: short, varied, and unrelated to most collections.

A hash of the sentences is stored with their vectors. If a sentence changes, all sentences are
embedded again.
"""

from __future__ import annotations

CALIBRATION_SENTENCES = tuple(
    line
    for line in """
a lighthouse on a cliff in a storm
an airport runway seen from the cockpit
a plate of spaghetti with tomato sauce
a chess board in the middle of a game
the inside of an old clock
a page of handwritten notes
a bar chart with four colours
an x-ray of a broken hand
a nebula photographed by a space telescope
a tractor ploughing a field
children building a sandcastle
a bride and groom cutting a cake
a goalkeeper jumping for the ball
a train crossing a stone viaduct
a bowl of fresh cherries
a cat asleep on a keyboard
a horse pulling a cart
a shelf full of old books
a violin in its open case
an astronaut on the moon
a vintage red telephone
a swimming pool without water
a butterfly on a purple flower
a snow plough on a mountain road
fireworks above a harbour
a receipt from a supermarket
the menu of a restaurant
a screenshot of a spreadsheet
a dentist looking into a mouth
an empty classroom with wooden desks
a pile of firewood
a man shaving in front of a mirror
a woman playing the cello
a baby in a bath tub
a dog catching a frisbee
a penguin among thousands of others
an elephant drinking from a river
a shark below a diver
a spider in its web
a bowl of ramen with an egg
a cup of coffee and a newspaper
a loaf of bread fresh from the oven
a market stall with spices
a fish on ice
a pizza with mushrooms
a glass of red wine
a birthday party with balloons
a bicycle leaning on a wall
a motorcycle race
a traffic jam at night
a bus at a stop in the rain
a ferry leaving the port
a cable car above the trees
a helicopter landing on a roof
a hot air balloon over a valley
a container ship in a storm
a racing car in a curve
a rusty car in the desert
a construction crane at dawn
a bridge in the fog
a cathedral with two towers
a castle on a hill
a skyscraper of glass and steel
a temple with golden statues
an igloo in the snow
a tent under the stars
a wooden cabin by a lake
a narrow street with laundry
a library with green lamps
an operating room
a laboratory with test tubes
a factory with robots
a coal mine
a wind farm in the sea
solar panels on a roof
a power station at dusk
a waterfall in the jungle
a volcano with glowing lava
a desert with sand dunes
a frozen lake with skaters
a field of sunflowers
a vineyard in autumn
a rice terrace
a coral reef with small fish
an iceberg in blue water
a rainbow over a meadow
lightning above a city
the northern lights
a sunset behind palm trees
the full moon over the sea
a forest path covered with leaves
a cactus in a pot
a bunch of roses
a mushroom in the moss
a pumpkin with a carved face
a christmas tree with candles
easter eggs in a basket
a carnival mask
a samurai in armour
a ballet dancer on stage
a rock band at a concert
a drummer with long hair
a clown with a red nose
a magician pulling out a rabbit
a boxer in the ring
a wrestler lifting another
a gymnast on the beam
a skier jumping over a rock
a surfer inside a wave
a climber on a steep wall
a runner crossing the finish line
a tennis player serving
a basketball going through the hoop
a baseball player sliding into base
a golfer in a bunker
people doing yoga in a park
a football team with a trophy
a rower on a calm river
a fisherman with a net
a farmer milking a cow
a baker kneading dough
a blacksmith at the anvil
a tailor with a sewing machine
a firefighter with a hose
a soldier in a parade
a judge in a courtroom
a politician giving a speech
a nurse with a patient
a scientist at a microscope
a teacher at the blackboard
a programmer with three monitors
a grandmother knitting
twins in the same clothes
a girl with a lollipop
a boy on a swing
a family at the dinner table
a crowd waving flags
a protest with signs
a queue in front of a shop
a couple kissing in the rain
two men shaking hands
a hand holding a key
a foot in a plaster cast
an eye in close-up
a tattoo of a dragon
a pair of leather shoes
a wedding dress in a window
a necklace with pearls
a wrist watch
a folded umbrella
an open suitcase
a broken window
a spiral staircase
a red door
an unmade bed
a kitchen with copper pots
a washing machine
a vacuum cleaner
a toolbox with screwdrivers
a soldering iron on a circuit board
a stack of coins
a passport with stamps
a map of the underground
a road sign with two arrows
a poster for a film
a painting of a battle
a marble statue of a god
a clay vase
a stained glass window
a mosaic floor
a dinosaur skeleton in a museum
an aquarium with jellyfish
a parrot on a branch
an owl at night
a swan with its young
a flock of geese
a rooster on a fence
a pig in the mud
sheep in front of a stone wall
a goat standing on a roof
a fox in the snow
a bear catching salmon
a wolf howling
a lion yawning
a giraffe eating leaves
a zebra herd
a kangaroo with its young
a monkey in a hot spring
a crocodile on a bank
a snake around a branch
a frog on a leaf
a snail on a wet stone
a bee on a yellow flower
ants carrying a leaf
a hedgehog in dry leaves
a squirrel with a nut
a hamster in a wheel
a whale jumping out of the water
a seal on the beach
a crab between rocks
an octopus
a star fish
a slice of watermelon
a jar of honey
a bowl of soup
a sandwich with cheese
an ice cream with three scoops
a box of chocolates
an orange cut in half
a barbecue with sausages
a tray of sushi
a toy train
a teddy bear on a shelf
a puzzle with missing pieces
a hand of playing cards
a robot made of bricks
a telescope on a balcony
a radio tower
a satellite dish
a row of mailboxes
a park bench under snow
an abandoned amusement park
a merry-go-round
a tunnel with lights
an escalator in a shopping mall
a petrol station at night
a lift with mirrors
black and white stripes
a blurred picture of nothing
a grey wall
""".splitlines()
    if line
)
