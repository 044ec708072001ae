"""Everyday nouns that stand for whatever a picture may show besides the words that somebody asks for."""

_WORDS = """
accordion, aeroplane, alarm clock, ambulance, anchor, antelope, apple, apron, arch, armchair, asphalt, axe, baby,
backpack, bag, balcony, ball, balloon, banana, bandage, banner, barn, barrel, basket, bathtub, battery, beach, bean,
bear, beard, bed, bee, beer, bell, belt, bench, bicycle, bird, blackboard, blanket, blender, boat, bone, book,
bookshelf, boot, bottle, bow, bowl, box, boy, bread, brick, bridge, broccoli, broom, brush, bucket, building,
bulldozer, bus, bush, butter, butterfly, button, cabbage, cabinet, cable, cactus, cage, cake, calculator, camel,
camera, canal, candle, cannon, canoe, cap, car, card, cardboard, carpet, carrot, castle, cat, ceiling, chain, chair,
chalk, cheese, cherry, chess, chicken, child, chimney, chocolate, church, cigarette, clay, cliff, clock, cloth,
clothes, cloud, coal, coat, cobweb, coffee, coin, comb, compass, computer, concrete, coral, cork, corn, cotton, cow,
crab, crane, crate, crocodile, cross, crowd, crown, cup, curtain, cushion, deer, desert, desk, diamond, dice, dish,
dog, doll, dolphin, donkey, door, dragonfly, drawer, dress, drill, drum, duck, dust, eagle, ear, egg, elephant,
engine, envelope, escalator, eye, face, factory, fan, faucet, feather, fence, fern, field, fire, fireplace, fish,
flag, flame, floor, flower, foam, fog, foot, forest, fork, fountain, fox, frog, fur, garden, garlic, gate, giraffe,
girl, glass, glasses, glove, goat, gold, goose, grape, grass, gravel, guitar, gun, hair, hammer, hammock, hand,
harbour, hat, hay, head, hedge, helicopter, helmet, hill, honey, horse, hospital, hotel, house, ice, ice cream, iron,
island, ivy, jacket, jar, jeans, jellyfish, jewel, jug, kangaroo, kettle, key, keyboard, kitchen, kite, knife, ladder,
lake, lamp, lantern, laptop, lava, lawn, leaf, leather, lemon, leopard, letter, lettuce, lighthouse, lightning, lion,
lips, lipstick, lobster, lock, log, magazine, magnet, man, map, marble, mask, mattress, meat, metal, microphone,
microscope, microwave, milk, mirror, monkey, moon, moss, motorcycle, mountain, mouse, mouth, mud, mushroom, nail,
napkin, necklace, needle, nest, net, newspaper, notebook, nut, oar, ocean, office, onion, orange, oven, owl, paint,
painting, palm tree, pan, panda, paper, parachute, park, parrot, path, peach, peacock, pear, pen, pencil, penguin,
pepper, piano, pig, pigeon, pillow, pineapple, pipe, pizza, plant, plastic, plate, playground, polar bear, pole, pond,
pool, potato, powder, printer, puddle, pumpkin, puppet, purse, rabbit, radio, railing, rain, rainbow, rat, razor,
refrigerator, rice, ring, river, road, robot, rock, roof, room, rope, rose, rubber, rug, ruler, sail, salad, salt,
sand, sandal, sandwich, sausage, saw, scarf, school, scissors, screen, screw, sea, seashell, seat, shadow, shark,
sheep, shelf, ship, shirt, shoe, shop, shovel, shower, sidewalk, sign, silk, sink, skateboard, skeleton, skin, skirt,
sky, smoke, snail, snake, snow, soap, sock, sofa, soil, soup, spider, sponge, spoon, squirrel, stairs, star, statue,
steel, stone, stool, stove, straw, strawberry, street, string, sugar, suit, suitcase, sun, sunflower, surfboard, swan,
swing, sword, table, tablecloth, tablet, tank, tea, teddy bear, telephone, telescope, television, tent, tiger, tile,
tin, tissue, toaster, toilet, tomato, tongue, tooth, toothbrush, towel, tower, toy, tractor, traffic light, train,
trash, tree, trophy, trousers, truck, trumpet, tunnel, turtle, tyre, umbrella, vase, vegetable, vine, violin, volcano,
wall, wallpaper, watch, water, waterfall, watermelon, wave, wax, web, whale, wheat, wheel, whistle, wig, window, wine,
wire, wolf, woman, wood, wool, yarn, zebra
"""

NEUTRAL_WORDS: tuple[str, ...] = tuple(" ".join(word.split()) for word in _WORDS.split(","))
"""In alphabetical order, each once."""
